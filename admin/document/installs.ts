// Makes installs of what a body says: a version of the marketplace, pinned; and takes their bindings along from version to version.
// Must not read the marketplace or run code: callers bring the version and what its migration made of configurations.
import { isDeepStrictEqual } from 'node:util';
import { readPluginConfig } from '../../gateway/core/config.ts';
import type { InstalledPlugin } from '../../gateway/core/manifest.ts';
import type { Binding, CanaryPin, ConfigStep, Install, PluginPin, ShadowPin } from '../../gateway/core/model.ts';
import { comparePermissions } from '../../gateway/package/permissions.ts';
import { openSecret, sealSecret } from '../../gateway/sources/secrets.ts';
import { AdminError, invalidField } from '../errors.ts';
import type { Version } from '../store/marketplace/versions.ts';
import { toEntity } from './apis.ts';
import type { Draft } from './draft.ts';
import type { Input } from './read.ts';

/** Is a version as the marketplace has it. */
export type OfferedVersion = Pick<Version, 'plugin' | 'version' | 'sha256' | 'manifest' | 'configSchema' | 'state'>;

/** Says what an install is made from. */
export interface InstallContext {
  readonly existing: Install | undefined;
  /** The version that the input names; undefined = the marketplace does not have it. */
  readonly offered: OfferedVersion | undefined;
  readonly secretKey: Uint8Array;
}

/** Holds what migrations made of configurations, by the id of the binding. */
export type MigratedConfigs = ReadonlyMap<string, ConfigStep>;

const NOT_MIGRATED: MigratedConfigs = new Map();

/** Most bindings that a refusal names. */
const MAX_NAMED = 10;

/** Makes an install. @throws CONFIG_INVALID; CONSENT_REQUIRED with the permissions that are not granted */
export function toInstall(input: Input, context: InstallContext): Install {
  const { existing } = context;
  if (existing !== undefined && existing.plugin !== input['plugin']) {
    throw invalidField('/plugin', `expected ${existing.plugin}`);
  }
  const pin = choosePin(input, context);
  const { id, plugin, tier, tags } = input;
  const secrets = sealSecrets(input, pin, context);
  const kept = existing?.previous === undefined ? {} : { previous: existing.previous };
  // A trial was against the version that is installed; it ends with that.
  const onTrial = existing !== undefined && existing.sha256 === pin.sha256 ? keepTrial(existing) : {};
  return toEntity<'install'>({ id, plugin, ...pin, tier, secrets, ...kept, ...onTrial, tags }, existing);
}

function keepTrial({ canary, shadow }: Install): Pick<Install, 'canary' | 'shadow'> {
  return { ...(canary && { canary }), ...(shadow && { shadow }) };
}

/** Pins the version that an input names. @throws as `toInstall` */
export function choosePin(input: Input, { existing, offered }: Omit<InstallContext, 'secretKey'>): PluginPin {
  const version = String(input['version']);
  const isKept = existing?.version === version && (offered === undefined || offered.sha256 === existing.sha256);
  const chosen = isKept ? existing : offered;
  if (chosen === undefined)
    throw invalidField('/version', `the marketplace has no ${String(input['plugin'])} ${version}`);
  const { sha256, manifest, configSchema } = chosen;
  if (input['sha256'] !== undefined && input['sha256'] !== sha256 && !isUpgradeOf(existing, input)) {
    throw invalidField('/sha256', `expected ${sha256}, the digest of ${version} in the marketplace`);
  }
  if (!isKept && offered?.state !== 'approved' && offered?.state !== 'deprecated') {
    throw invalidField('/version', `expected a version that is approved; ${version} is ${offered?.state}`);
  }
  checkGranted(input['granted'] as PluginPin['granted'] | undefined, existing, manifest);
  // What was granted beyond is not kept: a later version must not get it unasked.
  return { version, sha256, granted: manifest.permissions, manifest, configSchema };
}

/** A patch that names another version alone still shows the digest of the one before. */
function isUpgradeOf(existing: Install | undefined, input: Input): boolean {
  return existing !== undefined && existing.sha256 === input['sha256'] && existing.version !== input['version'];
}

function checkGranted(
  said: PluginPin['granted'] | undefined,
  existing: Install | undefined,
  { permissions, version }: InstalledPlugin['manifest'],
): void {
  const granted = said ?? existing?.granted ?? {};
  const missing = comparePermissions(granted, permissions);
  if (missing.length === 0) return;
  const problems = missing.map(({ pointer, wanted }) => ({
    pointer: `/granted${pointer}`,
    message: `version ${version} asks for ${JSON.stringify(wanted)}`,
  }));
  throw new AdminError('CONSENT_REQUIRED', `Version ${version} asks for more than is granted.`, {
    problems,
    facts: { permissions: missing, wanted: permissions },
  });
}

/** Seals the secrets; one that equals what is sealed already keeps its sealed form. Those not asked for are dropped. */
function sealSecrets(
  input: Input,
  { manifest }: PluginPin,
  { existing, secretKey }: InstallContext,
): Install['secrets'] {
  const plain = (input['secrets'] ?? {}) as Readonly<Record<string, string>>;
  const sealed = (input['sealedSecrets'] ?? {}) as Readonly<Record<string, string>>;
  const asked = new Set(manifest.permissions.secrets ?? []);
  for (const [field, names] of Object.entries({ secrets: plain, sealedSecrets: sealed })) {
    const foreign = Object.keys(names).find((name) => !asked.has(name));
    if (foreign !== undefined) throw invalidField(`/${field}/${foreign}`, 'the version does not ask for this secret');
  }
  const secrets: Record<string, string> = {};
  for (const name of asked) {
    const kept = existing?.secrets[name];
    const given = plain[name];
    const value = given === undefined ? (sealed[name] ?? kept) : sealOne(given, kept, secretKey);
    if (value === undefined) continue;
    if (tryOpen(secretKey, value) === undefined) {
      throw invalidField(`/sealedSecrets/${name}`, "expected a secret sealed with this installation's key");
    }
    secrets[name] = value;
  }
  return secrets;
}

function sealOne(plain: string, kept: string | undefined, secretKey: Uint8Array): string {
  return kept !== undefined && tryOpen(secretKey, kept) === plain ? kept : sealSecret(secretKey, plain);
}

function tryOpen(secretKey: Uint8Array, sealed: string): string | undefined {
  try {
    return openSecret(secretKey, sealed);
  } catch {
    return undefined;
  }
}

/** Puts an install; with another version, the one before is kept for a rollback and its bindings come along. */
export function putInstall(draft: Draft, install: Install, migrated: MigratedConfigs = NOT_MIGRATED): Install {
  const before = draft.get('install', install.id);
  if (before === undefined || (before.version === install.version && before.sha256 === install.sha256)) {
    return draft.put('install', install);
  }
  const configs = moveBindings(draft, install, (binding) => {
    const step = migrated.get(binding.id);
    if (step === undefined) return binding.config;
    if (isDeepStrictEqual(step.before, binding.config)) return step.after;
    throw new AdminError('CONFLICT', `The binding ${binding.id} changed during the upgrade; try again.`);
  });
  return draft.put('install', { ...install, previous: { ...pinOf(before), configs } });
}

/** Goes back to the version before; bindings that were not written since get the configuration they had with it. */
export function rollBackInstall(draft: Draft, install: Install): Install {
  const { previous, canary: _trial, shadow: _shadow, ...alone } = install;
  if (previous === undefined) {
    throw new AdminError('CONFLICT', `There is no version of ${install.plugin} to roll back to.`);
  }
  const { configs: steps, ...pin } = previous;
  const target = { ...alone, ...pin };
  const configs = moveBindings(draft, target, (binding) => {
    const step = steps[binding.id];
    return step !== undefined && isDeepStrictEqual(binding.config, step.after) ? step.before : binding.config;
  });
  return draft.put('install', { ...target, previous: { ...pinOf(install), configs } });
}

function pinOf({ version, sha256, granted, manifest, configSchema }: PluginPin): PluginPin {
  return { version, sha256, granted, manifest, configSchema };
}

/** Configures the bindings for a version, as far as they fit: what does not, the check of the document names. */
function moveBindings(
  draft: Draft,
  plugin: InstalledPlugin & Pick<Install, 'plugin'>,
  choose: (binding: Binding) => Binding['config'],
): Readonly<Record<string, ConfigStep>> {
  const configs: Record<string, ConfigStep> = {};
  for (const binding of listBindings(draft, plugin.plugin)) {
    const read = readPluginConfig(plugin, choose(binding));
    if (!read.ok || isDeepStrictEqual(read.value, binding.config)) continue;
    configs[binding.id] = { before: binding.config, after: read.value };
    draft.put('binding', { ...binding, config: read.value });
  }
  return configs;
}

function listBindings(draft: Draft, plugin: string): readonly Binding[] {
  return [...draft.all('binding').values()].filter((one) => one.plugin === plugin && one.effect === 'apply');
}

/** Removes an install. @throws IN_USE naming the bindings that put it to work */
export function removeInstall(draft: Draft, install: Install): void {
  const users = [...draft.all('binding').values()].filter(({ plugin }) => plugin === install.plugin);
  if (users.length > 0) {
    const named = users.slice(0, MAX_NAMED);
    throw new AdminError('IN_USE', `The plugin ${install.plugin} is bound ${users.length} times; delete these first.`, {
      problems: named.map(({ id }) => ({ pointer: `/bindings/${id}/plugin`, message: `${install.plugin} is in use` })),
      facts: { bindings: named.map(({ id }) => id) },
    });
  }
  draft.remove('install', install.id);
}

/** Shows an install as REST does: without its secrets. */
export function showInstall(install: Install, bindings: Iterable<Pick<Binding, 'plugin'>>): Input {
  const { secrets, previous, canary, shadow, ...shown } = install;
  let users = 0;
  for (const { plugin } of bindings) if (plugin === install.plugin) users += 1;
  return {
    ...shown,
    secretNames: Object.keys(secrets).sort(),
    bindings: users,
    ...(previous === undefined ? {} : { previous: { version: previous.version, sha256: previous.sha256 } }),
    ...(canary === undefined ? {} : { canary: showCanary(canary) }),
    ...(shadow === undefined ? {} : { shadow: showShadow(shadow) }),
  };
}

function showCanary({ version, sha256, percent, key, rule, startedAt }: CanaryPin): Input {
  return { version, sha256, percent, key, ...rule, startedAt };
}

function showShadow({ version, sha256, percent, startedAt }: ShadowPin): Input {
  return { version, sha256, percent, startedAt };
}

/** Shows an install as an export does: the pin, which the marketplace completes; its secrets sealed, or not at all. */
export function exportInstall(install: Install, hasSecrets: boolean): Input {
  const {
    manifest: _manifest,
    configSchema: _schema,
    previous: _previous,
    canary: _canary,
    shadow: _shadow,
    secrets,
    ...shown
  } = install;
  return hasSecrets && Object.keys(secrets).length > 0 ? { ...shown, sealedSecrets: secrets } : shown;
}
