// Runs another version of a plugin in the shadow of the installed one: on copies of some exchanges, to see what it would do.
// Must not let anything out that the candidate does: its effects are compared and thrown away.
import { readPluginConfig } from '../config.ts';
import type { ExchangeState } from '../exchange/exchange.ts';
import { Quarantine } from '../hooks/quarantine.ts';
import { buildKeyValues } from '../lending/memory.ts';
import type { HookName } from '../manifest.ts';
import type { LoadedPlugin } from '../pipeline.ts';
import type { Counter, Histogram, Host, LimitVerdict, Plugin } from '../plugin.ts';
import { isInPart } from '../setup/part.ts';
import type { Side, Tally } from '../setup/trial.ts';
import { Companion, hasRoom, type Ledger, type ShadowBinding } from './companion.ts';
import { NOTHING_COMPARED } from './comparison.ts';

/** Is two versions, and the part of the exchanges on which both run. */
export interface ShadowOptions {
  readonly installed: LoadedPlugin;
  /** Must run where it cannot hold up this process. */
  readonly candidate: LoadedPlugin;
  /** 0..100. */
  readonly percent: number;
  /** Values of the secrets that both are lent: no report shows them. */
  readonly secrets: readonly string[];
}

/** Bodies that stream are not kept, so that chunk hooks run in the installed version alone. */
const HOOKS: readonly HookName[] = ['onRequest', 'onUpstreamRequest', 'onResponse', 'onLog'];
const CHUNK_HOOKS = ['onRequestChunk', 'onResponseChunk'] as const;

/** Joins the two into one plugin, which does what the installed version does. What it holds goes with its lease. */
export function shadowPlugin(options: ShadowOptions): LoadedPlugin & Required<Pick<LoadedPlugin, 'shadow' | 'beside'>> {
  const { installed, candidate, secrets } = options;
  const beside = { version: candidate.manifest.version, isStopped: false };
  const ledger: Ledger = {
    installed: newTally(installed),
    candidate: newTally(candidate),
    comparison: NOTHING_COMPARED,
    dropped: 0,
    skipped: 0,
    pending: 0,
    secrets,
  };
  const bindings = new Set<ShadowBinding>();
  const plugin: Record<string, unknown> = {
    async setup(config: unknown, host: Host): Promise<ShadowBinding> {
      const own = await setUpSide(installed, ledger.installed, config, host);
      const other = await setUpCandidate(candidate, ledger.candidate, config, host);
      const quarantine = new Quarantine(candidate.manifest.hooks.length);
      const note = `sallyport:shadow:${host.binding.id}`;
      const binding = { note, host, installed: own, candidate: other, quarantine, candidateCalls: 0, isClosed: false };
      bindings.add(binding);
      return binding;
    },
    async close(binding: ShadowBinding): Promise<void> {
      bindings.delete(binding);
      binding.isClosed = true;
      const sides = [binding.installed, ...(binding.candidate ? [binding.candidate] : [])];
      await Promise.allSettled(sides.map(async ({ plugin: side, state }) => side.plugin.close?.(state)));
    },
  };
  const hooks = HOOKS.filter((hook) => hook === 'onLog' || installed.plugin[hook] || candidate.plugin[hook]);
  for (const hook of hooks) plugin[hook] = buildHook(hook, { ...options, beside }, ledger);
  const chunkHooks = CHUNK_HOOKS.filter((hook) => installed.plugin[hook]);
  for (const hook of chunkHooks) plugin[hook] = buildChunkHook(hook);

  return {
    ...installed,
    manifest: { ...installed.manifest, hooks: [...hooks, ...chunkHooks] },
    plugin: plugin as Plugin<unknown, unknown>,
    lease: {
      take() {
        for (const { lease } of [installed, candidate]) lease?.take();
      },
      release() {
        for (const { lease } of [installed, candidate]) lease?.release();
      },
    },
    beside,
    shadow: {
      report: () => ({
        ...ledger.comparison,
        installed: { ...ledger.installed },
        candidate: { ...ledger.candidate },
        dropped: ledger.dropped,
        skipped: ledger.skipped,
        withdrawn: [...bindings].filter(
          ({ candidate: side, quarantine }) => !side || quarantine.isAside || beside.isStopped,
        ).length,
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

/** What a candidate cannot be set up for is not compared; the installed version goes on. */
async function setUpCandidate(
  plugin: LoadedPlugin,
  tally: Tally,
  config: unknown,
  host: Host,
): Promise<Side | undefined> {
  const read = readPluginConfig(plugin, config);
  const [problem] = read.ok ? [] : read.problems;
  try {
    if (!read.ok) throw new Error(`${problem?.pointer}: ${problem?.message}`);
    return await setUpSide(plugin, tally, read.value, cutOff(host));
  } catch (error) {
    const { name, version } = plugin.manifest;
    const facts = { plugin: name, version, binding: host.binding.id, error };
    host.log.error('a version in the shadow cannot be set up', facts);
    return undefined;
  }
}

/** Gives a host from which nothing gets out: no network, no log, no measurement, no count of a limit. */
function cutOff({ binding, clock, secrets }: Host): Host {
  const drop = (): void => undefined;
  const nothing: Counter & Histogram = { add: drop, observe: drop };
  const verdict = (requests: number): LimitVerdict => ({ isAllowed: true, window: 0, remaining: requests, resetMs: 0 });
  return {
    binding,
    clock,
    secrets,
    log: { debug: drop, info: drop, warn: drop, error: drop },
    metrics: { counter: () => ({ series: () => nothing }), histogram: () => ({ series: () => nothing }) },
    limits: { limiter: ({ windows }) => ({ take: () => verdict(windows[0]?.requests ?? 1) }) },
    kv: buildKeyValues(clock),
    fetch: () => Promise.reject(new Error('a version in the shadow reaches no network')),
    onReopen: drop,
  };
}

type Shadow = ShadowOptions & Required<Pick<LoadedPlugin, 'beside'>>;

type AnyHook = (...args: readonly unknown[]) => unknown;

function buildHook(hook: HookName, options: Shadow, ledger: Ledger): AnyHook {
  return (...args) => {
    const exchange = args[0] as ExchangeState;
    const binding = args[2] as ShadowBinding;
    const { plugin, config, state } = binding.installed;
    const run = plugin.plugin[hook] as AnyHook | undefined;
    const companion = findCompanion(options, ledger, binding, exchange);
    if (companion === undefined) return run?.call(plugin.plugin, exchange, config, state);
    return companion.watch(hook, run && (() => run.call(plugin.plugin, exchange, config, state)));
  };
}

function buildChunkHook(hook: HookName): AnyHook {
  return (chunk, last, exchange, _config, own) => {
    const { plugin, config, state } = (own as ShadowBinding).installed;
    return (plugin.plugin[hook] as AnyHook).call(plugin.plugin, chunk, last, exchange, config, state);
  };
}

/** Decides once for an exchange, at its first hook. */
function findCompanion(
  { percent, beside }: Shadow,
  ledger: Ledger,
  binding: ShadowBinding,
  exchange: ExchangeState,
): Companion | undefined {
  const known = exchange.state.get(binding.note) as Companion | null | undefined;
  if (known !== undefined) return known ?? undefined;
  const companion = beside.isStopped ? undefined : choose(percent, ledger, binding, exchange);
  exchange.state.set(binding.note, companion ?? null);
  return companion;
}

function choose(
  percent: number,
  ledger: Ledger,
  binding: ShadowBinding,
  exchange: ExchangeState,
): Companion | undefined {
  const { candidate, quarantine } = binding;
  if (candidate === undefined || !isInPart(exchange.id, percent)) return undefined;
  if (quarantine.isAside && !quarantine.admits(exchange, performance.now())) return undefined;
  if (hasRoom(ledger)) return new Companion(ledger, binding, candidate, exchange);
  ledger.dropped++;
  return undefined;
}
