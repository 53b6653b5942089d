// Begins and ends the trial of another version of an install.
// Must not judge a trial: whoever watches it does.
import type { CanaryPin, CanaryRule, Install, PluginPin } from '../../gateway/core/model.ts';
import type { Draft } from '../document/draft.ts';
import { choosePin, type OfferedVersion, putInstall } from '../document/installs.ts';
import type { Input } from '../document/read.ts';
import { AdminError, invalidField } from '../errors.ts';

/** Puts a version on trial; another that was is not any more. @throws CONFIG_INVALID; CONSENT_REQUIRED; CONFLICT */
export function startCanary(
  draft: Draft,
  install: Install,
  {
    input,
    offered,
    startedAt,
  }: { readonly input: Input; readonly offered: OfferedVersion | undefined; readonly startedAt: string },
): Install {
  const { canary: _before, ...alone } = install;
  if (alone.shadow !== undefined)
    throw new AdminError('CONFLICT', `Version ${alone.shadow.version} runs in the shadow of it; end that first.`);
  const pin = pinBeside(alone, input, offered);
  const { percent, key, promoteAfterSeconds, minExchanges, maxErrorPart, maxSlowdown } = input as unknown as Input &
    CanaryRule &
    Pick<CanaryPin, 'percent' | 'key'>;
  const rule: CanaryRule = {
    minExchanges,
    maxErrorPart,
    maxSlowdown,
    ...(promoteAfterSeconds === undefined ? {} : { promoteAfterSeconds }),
  };
  return draft.put('install', { ...alone, canary: { ...pin, percent, key, rule, startedAt } });
}

/** Pins a version that is to run beside the installed one. @throws CONFIG_INVALID; CONSENT_REQUIRED */
export function pinBeside(install: Install, input: Input, offered: OfferedVersion | undefined): PluginPin {
  const version = String(input['version']);
  if (version === install.version)
    throw invalidField('/version', `expected another version than ${version}, which is installed`);
  const pin = choosePin({ plugin: install.plugin, ...input }, { existing: install, offered });
  const { stage } = install.manifest;
  // Both run at the same place of the chain.
  if (pin.manifest.stage !== stage)
    throw invalidField('/version', `expected a version of stage ${stage}, as the installed one is`);
  return pin;
}

/** Ends a trial; the installed version has all exchanges again. @throws NOT_FOUND */
export function endCanary(draft: Draft, install: Install): Install {
  const { canary, ...alone } = install;
  if (canary === undefined) throw noCanary(install);
  return draft.put('install', alone);
}

/** Installs the version on trial; the one before is kept for a rollback. @throws NOT_FOUND */
export function promoteCanary(draft: Draft, install: Install): Install {
  const { canary, ...alone } = install;
  if (canary === undefined) throw noCanary(install);
  const { version, sha256, granted, manifest, configSchema } = canary;
  return putInstall(draft, { ...alone, version, sha256, granted, manifest, configSchema });
}

/** Says that there is none. */
export function noCanary({ plugin }: Pick<Install, 'plugin'>): AdminError {
  return new AdminError('NOT_FOUND', `No version of ${plugin} is on trial.`);
}
