// Puts a package's code to work in a tier: here, in an isolate, or in a process of its own. The pipeline sees no difference.
// Must not decide what is granted, nor whom to trust.
import type { Manifest } from '../core/manifest.ts';
import type { Logger, Plugin } from '../core/plugin.ts';
import { buildGrants } from './grants.ts';
import { keepEither } from './isolate/either.ts';
import { IsolateGate } from './isolate/gate.ts';
import { findIsolates } from './isolate/library.ts';
import type { GuestKeeper, Incident, KeeperOptions } from './keeper.ts';
import { createLender } from './lending.ts';
import { openNative } from './native.ts';
import { superviseChild } from './process/supervisor.ts';
import { openRemote } from './remote.ts';

export type { Incident } from './keeper.ts';

/** Names how far a plugin is kept from the gateway. */
export type Tier = 'native' | 'isolate' | 'process';

/** Is what a plugin is run with. */
export interface SandboxOptions {
  /** The one module of the package. */
  readonly code: string;
  readonly manifest: Manifest;
  /** Never more than the manifest asks for; what is not here is refused, in every tier. */
  readonly granted: Manifest['permissions'];
  /** Values by name; a plugin sees those that are granted. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly tier: Tier;
  readonly log: Logger;
  /** Says whether isolates are allowed now; absent = always. */
  readonly isolates?: IsolateGate;
  onIncident?(incident: Incident): void;
}

/** Is a plugin at work. Close it, or its process stays. */
export interface Sandbox {
  /** Where it runs: `process` instead of `isolate` where isolates do not load. */
  readonly tier: Tier;
  readonly plugin: Plugin<unknown, unknown>;
  /** Absent when the package has none. */
  readonly migrate?: (config: unknown, fromVersion: number) => Promise<unknown>;
  close(): Promise<void>;
}

/** Most incidents that are told in a second; a plugin that breaks a rule mostly does so with every request. */
const MAX_INCIDENTS_PER_SECOND = 100;

/**
 * Loads a plugin into its tier.
 *
 * @throws Error when the code does not load, lacks a hook of its manifest, has another, or a hook has no grant to work with.
 */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { code, manifest, granted, secrets } = options;
  checkGrants(manifest, granted);
  const onIncident = limitIncidents(options);
  const lender = createLender(buildGrants(granted, manifest.stage), secrets, ({ message }) =>
    onIncident({ kind: 'denied', message }),
  );
  const { tier, keep } = findKeeper(options);
  if (tier === 'native') {
    const { plugin, migrate } = await openNative({ code, manifest, lender, onIncident });
    return { tier, plugin, ...(migrate && { migrate }), close: async () => undefined };
  }
  const remote = await openRemote({ code, manifest, lender, onIncident, keep });
  return {
    tier,
    plugin: remote.plugin,
    ...(remote.hasMigrate && { migrate: (config, fromVersion) => remote.migrate(config, fromVersion) }),
    close: () => remote.close(),
  };
}

/** Gives the tier in which a package can run here, and who keeps its guest there. */
function findKeeper({ tier, log, manifest, isolates = new IsolateGate() }: SandboxOptions): {
  readonly tier: Tier;
  readonly keep: (options: KeeperOptions) => Promise<GuestKeeper>;
} {
  if (tier !== 'isolate') return { tier, keep: superviseChild };
  const found = findIsolates();
  const { library } = found;
  if (library) return { tier, keep: (options) => keepEither(library, isolates, options) };
  const { name, version } = manifest;
  log.warn('isolates do not load here: a plugin runs in tier process', {
    plugin: name,
    version,
    reason: found.reason,
  });
  return { tier: 'process', keep: superviseChild };
}

/** Gives the tier for a package by whose signature it bears. */
export function findTier(trust: 'platform' | 'marketplace' | 'unsigned'): Tier {
  return trust === 'platform' ? 'native' : 'process';
}

/** A chunk hook without a body to see would be a plugin that silently does nothing. */
function checkGrants({ hooks }: Manifest, granted: Manifest['permissions']): void {
  for (const [hook, side] of [
    ['onRequestChunk', 'request'],
    ['onResponseChunk', 'response'],
  ] as const) {
    if (hooks.includes(hook) && (granted[side]?.body ?? 'none') === 'none') {
      throw new TypeError(`the hook ${hook} needs the permission ${side}.body`);
    }
  }
}

function limitIncidents({ log, manifest, onIncident }: SandboxOptions): (incident: Incident) => void {
  let second = 0;
  let told = 0;
  return (incident) => {
    const now = Math.floor(performance.now() / 1_000);
    if (now !== second) [second, told] = [now, 0];
    if (++told > MAX_INCIDENTS_PER_SECOND) return;
    log.warn('a plugin broke a rule', { plugin: manifest.name, version: manifest.version, ...incident });
    onIncident?.(incident);
  };
}
