// Begins and ends the shadow of an install: another version that runs on copies of exchanges.
// Must not judge: a shadow is for people to look at.
import type { Install } from '../../gateway/core/model.ts';
import { pinBeside } from '../canary/trial.ts';
import type { Draft } from '../document/draft.ts';
import type { OfferedVersion } from '../document/installs.ts';
import type { Input } from '../document/read.ts';
import { AdminError } from '../errors.ts';

/** Puts a version into the shadow; another that was is not any more. @throws CONFIG_INVALID; CONSENT_REQUIRED; CONFLICT */
export function startShadow(
  draft: Draft,
  install: Install,
  {
    input,
    offered,
    startedAt,
  }: { readonly input: Input; readonly offered: OfferedVersion | undefined; readonly startedAt: string },
): Install {
  const { shadow: _before, ...alone } = install;
  if (alone.canary !== undefined)
    throw new AdminError('CONFLICT', `Version ${alone.canary.version} is on trial; end that first.`);
  const pin = pinBeside(alone, input, offered);
  return draft.put('install', { ...alone, shadow: { ...pin, percent: Number(input['percent']), startedAt } });
}

/** Ends a shadow. @throws NOT_FOUND */
export function endShadow(draft: Draft, install: Install): Install {
  const { shadow, ...alone } = install;
  if (shadow === undefined) throw noShadow(install);
  return draft.put('install', alone);
}

/** Says that there is none. */
export function noShadow({ plugin }: Pick<Install, 'plugin'>): AdminError {
  return new AdminError('NOT_FOUND', `No version runs in the shadow of ${plugin}.`);
}
