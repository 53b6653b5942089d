// Runs two versions of a plugin side by side: each exchange by one of them, from its first hook to its last.
// Must not decide which version stays: it counts how each fares, and lets go of one that fails.
import { readPluginConfig } from '../config.ts';
import { type Incident, Quarantine } from '../hooks/quarantine.ts';
import { HOOK_NAMES, type HookName } from '../manifest.ts';
import type { SplitKey } from '../model.ts';
import type { LoadedPlugin } from '../pipeline.ts';
import type { Exchange, Host, Plugin } from '../plugin.ts';
import { isInPart } from './part.ts';
import { OnTrial, runCounted, type Side, type SplitBinding, type Tally, Trusted } from './trial.ts';

/** Is two versions and the part of the exchanges that the newer one gets. */
export interface SplitOptions {
  readonly stable: LoadedPlugin;
  readonly canary: LoadedPlugin;
  /** 0..100; of the exchanges, by their key. */
  readonly percent: number;
  readonly key: SplitKey;
}

/** Joins two versions into one plugin. What it holds of either is given back with its own lease. */
export function splitPlugin(options: SplitOptions): LoadedPlugin & Required<Pick<LoadedPlugin, 'split' | 'beside'>> {
  const { stable, canary } = options;
  const beside = { version: canary.manifest.version, isStopped: false };
  const tallies = { stable: newTally(stable), canary: newTally(canary) };
  const bindings = new Set<SplitBinding>();
  let incident: Incident | undefined;
  const noteIncident = (one: Incident): void => {
    incident = one;
  };

  const plugin: Record<string, unknown> = {
    async setup(config: unknown, host: Host): Promise<SplitBinding> {
      const own = await setUpSide(stable, tallies.stable, config, host);
      const other = await setUpCanary(canary, tallies.canary, config, host);
      const quarantine = new Quarantine(canary.manifest.hooks.length);
      const note = `sallyport:split:${host.binding.id}`;
      const binding = { note, host, stable: own, canary: other, quarantine, canaryCalls: 0 };
      bindings.add(binding);
      return binding;
    },
    async close(binding: SplitBinding): Promise<void> {
      bindings.delete(binding);
      const sides = [binding.stable, ...(binding.canary ? [binding.canary] : [])];
      await Promise.allSettled(sides.map(async ({ plugin: side, state }) => side.plugin.close?.(state)));
    },
  };
  const hooks = HOOK_NAMES.filter((hook) => stable.plugin[hook] ?? canary.plugin[hook]);
  for (const hook of hooks) plugin[hook] = buildHook(hook, { ...options, beside }, noteIncident);

  return {
    ...stable,
    manifest: { ...stable.manifest, hooks, limits: joinLimits(stable, canary) },
    plugin: plugin as Plugin<unknown, unknown>,
    lease: joinLeases(stable, canary),
    beside,
    split: {
      report: () => ({
        stable: { ...tallies.stable },
        canary: { ...tallies.canary },
        withdrawn: [...bindings].filter(
          ({ canary: side, quarantine }) => !side || quarantine.isAside || beside.isStopped,
        ).length,
        incident,
      }),
    },
  };
}

function newTally({ manifest }: LoadedPlugin): Tally {
  return { version: manifest.version, exchanges: 0, calls: 0, errors: 0, timeouts: 0, refusals: 0, totalMs: 0 };
}

async function setUpSide(plugin: LoadedPlugin, tally: Tally, config: unknown, host: Host): Promise<Side> {
  return { plugin, tally, config, state: await plugin.plugin.setup?.(config, host) };
}

/** A version that is on trial must not keep the other from its work: what it cannot be set up for it does not get. */
async function setUpCanary(plugin: LoadedPlugin, tally: Tally, config: unknown, host: Host): Promise<Side | undefined> {
  const read = readPluginConfig(plugin, config);
  const [problem] = read.ok ? [] : read.problems;
  try {
    if (!read.ok) throw new Error(`${problem?.pointer}: ${problem?.message}`);
    return await setUpSide(plugin, tally, read.value, host);
  } catch (error) {
    const { name, version } = plugin.manifest;
    host.log.error('a canary cannot be set up', { plugin: name, version, binding: host.binding.id, error });
    return undefined;
  }
}

/** The pipeline waits as long as either may take; the canary's own bound holds beside it. */
function joinLimits(stable: LoadedPlugin, canary: LoadedPlugin): LoadedPlugin['manifest']['limits'] {
  const { limits } = stable.manifest;
  return { ...limits, timeoutMs: Math.max(limits.timeoutMs, canary.manifest.limits.timeoutMs) };
}

/** Makes one lease of several. */
export function joinLeases(...plugins: readonly LoadedPlugin[]): NonNullable<LoadedPlugin['lease']> {
  return {
    take() {
      for (const { lease } of plugins) lease?.take();
    },
    release() {
      for (const { lease } of plugins) lease?.release();
    },
  };
}

type Split = SplitOptions & Required<Pick<LoadedPlugin, 'beside'>>;

type AnyHook = (...args: readonly unknown[]) => unknown;

/** Chunk hooks get the chunk and whether it is the last before what every hook gets: exchange, config, state. */
function buildHook(hook: HookName, options: Split, noteIncident: (incident: Incident) => void): AnyHook {
  const at = hook.endsWith('Chunk') ? 2 : 0;
  return (...args) => {
    const exchange = args[at] as Exchange;
    const binding = args[at + 2] as SplitBinding;
    const side = choose(options, binding, exchange);
    const run = side.plugin.plugin[hook] as AnyHook | undefined;
    if (run === undefined) return undefined;
    const call = (): unknown => run.call(side.plugin.plugin, ...args.slice(0, at + 1), side.config, side.state);
    if (side === binding.stable) return runCounted(side.tally, call, new Trusted(side.tally));
    return runCounted(side.tally, call, new OnTrial({ hook, binding, exchange, side, noteIncident }));
  };
}

/** Decides once for an exchange: what began with one version must end with it. */
function choose({ percent, key, beside }: Split, binding: SplitBinding, exchange: Exchange): Side {
  const known = exchange.state.get(binding.note) as Side | undefined;
  if (known) return known;
  const { stable, canary, quarantine } = binding;
  const isChosen =
    canary !== undefined && !beside.isStopped && isInPart(nameKey(canary, keyOf(exchange, key)), percent);
  const mayRun = !quarantine.isAside || quarantine.admits(exchange, performance.now());
  const side = isChosen && mayRun ? canary : stable;
  exchange.state.set(binding.note, side);
  side.tally.exchanges++;
  return side;
}

function keyOf({ id, client, consumer }: Exchange, key: SplitKey): string {
  if (key === 'request') return id;
  return key === 'consumer' && consumer ? consumer.id : client.ip;
}

/** With the version in it, so that it is not always the same callers that try what is new. */
function nameKey({ plugin }: Side, key: string): string {
  return `${plugin.manifest.name}@${plugin.manifest.version} ${key}`;
}
