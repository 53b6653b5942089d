// Compiles a document into what traffic runs on: frozen, numbered, built beside the old one and swapped whole.
// Must not hold the event loop, and must not touch the snapshot that is serving.
import { checkChange, EMPTY_GOOD, type EntityProblem, type GoodDocument } from './check.ts';
import { applyUpdate, type DocumentState, type EntityIds, gatherIds } from './config.ts';
import { addBindingsOfInstalls, type PluginFinder } from './document/installs.ts';
import { buildChain, type Chain, EMPTY_CHAIN } from './hooks/chain.ts';
import type { Binding, Update } from './model.ts';
import type { LoadedPlugin, Loan } from './pipeline.ts';
import type { Consumer } from './plugin.ts';
import type { RouteEntry } from './routing/entry.ts';
import {
  type BindingChange,
  type BindingIndex,
  changeIndex,
  EMPTY_INDEX,
  orderBindings,
  resolveBindings,
} from './routing/resolve.ts';
import { createRouterBuilder, EMPTY_ROUTER, type Router } from './routing/router.ts';
import { changeInstances, type InstanceSet } from './setup/instances.ts';
import { changeRuns, closeRuns, type RunSet } from './setup/runs.ts';
import type { PluginSource } from './setup/source.ts';
import { inSlices, type Steps } from './slicer.ts';
import { type ClientPolicies, NO_POLICIES, updateClientPolicies } from './tls/client-policies.ts';

/** Most chains kept of a kind; beyond, they are built again when needed. */
const MAX_CHAINS = 10_000;
/** Stands for the subject where there is no route. */
const UNROUTED = '';

/** Is a document compiled. */
export interface Snapshot {
  readonly revision: number;
  readonly good: GoodDocument;
  readonly router: Router;
  readonly clientPolicies: ClientPolicies;
  readonly index: BindingIndex;
  readonly instances: InstanceSet;
  readonly runs: RunSet;
  readonly plugins: PluginFinder;
  readonly chains: ChainCache;
}

/** Holds chains, compiled on first use. Snapshots between which no binding changed share one. */
export interface ChainCache {
  /** By api, route, consumer and groups. */
  readonly bySubject: Map<string, Chain>;
  /** By the bindings that run. Routes on which the same ones hold share a chain: ten thousand would fill the processor's caches. */
  readonly byBindings: Map<string, ChainMemo>;
}

/** Is what an entry of the router remembers: its chain, and in which cache it stands. */
interface ChainMemo {
  readonly of: ChainCache;
  readonly chain: Chain;
}

/** Makes an empty cache. */
export function newChainCache(): ChainCache {
  return { bySubject: new Map(), byBindings: new Map() };
}

/** Is the snapshot before the first revision: no route. */
export const EMPTY_SNAPSHOT: Snapshot = {
  revision: 0,
  good: EMPTY_GOOD,
  router: EMPTY_ROUTER,
  clientPolicies: NO_POLICIES,
  index: EMPTY_INDEX,
  instances: new Map(),
  runs: new Map(),
  plugins: new Map(),
  chains: newChainCache(),
};

/** Is what compiling needs. */
export interface SnapshotOptions {
  /** Plugins in folders. */
  readonly plugins: ReadonlyMap<string, LoadedPlugin>;
  /** Loads installs; undefined = none can run here. */
  readonly installs?: PluginSource | undefined;
  /** Lends a binding what it may use, from its set-up to its close. */
  lend(binding: Binding): Loan;
}

/** Is the result of compiling: a snapshot, or every reason against it. */
export type Compiled =
  | { readonly ok: true; readonly snapshot: Snapshot; readonly touched: EntityIds }
  | { readonly ok: false; readonly problems: readonly EntityProblem[] };

/**
 * Compiles what an update makes of `previous`, sharing everything that it does not touch: checks, routes of other apis,
 * set-ups of other bindings. Refuses whole: nothing of a refused document stays.
 */
export async function buildSnapshot(update: Update, previous: Snapshot, options: SnapshotOptions): Promise<Compiled> {
  const base = update.isReset ? EMPTY_SNAPSHOT : previous;
  const touched = await inSlices(gatherIds(update.changes));
  const state = await inSlices(applyUpdate(base.good.state, update));
  const { plugins } = options;
  const checked = await inSlices(checkChange(base.good, state, { plugins, consumers: 'elsewhere', touched }));
  if (!checked.ok) return checked;

  const router = await inSlices(changeRouter(base, state, touched.get('api') ?? NO_IDS));
  const before = base.good.state;
  const bindings = listTouched(before.bindings, state.bindings, touched.get('binding') ?? NO_IDS);
  const installs = touched.get('install') ?? NO_IDS;
  const { installs: source } = options;
  const loaded = await changeRuns(base.runs, { before, after: state, installs, known: previous.runs, source });
  const toSetUp = installs.size === 0 ? undefined : await inSlices(addBindingsOfInstalls(touched, before, state));
  const changes = toSetUp
    ? Array.from(toSetUp.get('binding') ?? NO_IDS, (id) => ({ id, after: state.bindings.get(id) }))
    : bindings.map(({ before, after }) => ({ id: (after ?? before)?.id ?? '', after }));
  const known = previous.instances;
  const setUp = await changeInstances(base.instances, changes, { ...options, loaded, known });
  if (!setUp.ok) {
    closeRuns(loaded.fresh);
    return setUp;
  }
  const { runs } = setUp;
  // What was loaded in vain, because its bindings could not be set up with it.
  closeRuns([...loaded.fresh, ...setUp.fresh].filter((run) => runs.get(run.install.plugin) !== run));

  const isSame = changes.length === 0 && !update.isReset;
  return {
    ok: true,
    touched,
    snapshot: {
      revision: update.revision,
      good: checked.good,
      router,
      clientPolicies: updateClientPolicies(base.clientPolicies, state.apis, touched.get('api') ?? NO_IDS),
      index: await inSlices(changeIndex(base.index, bindings)),
      instances: setUp.instances,
      runs,
      plugins: { get: (name) => plugins.get(name) ?? runs.get(name)?.loaded ?? runs.get(name)?.install },
      chains: isSame ? previous.chains : newChainCache(),
    },
  };
}

const NO_IDS: ReadonlySet<string> = new Set();

function listTouched(
  before: ReadonlyMap<string, Binding>,
  after: ReadonlyMap<string, Binding>,
  ids: ReadonlySet<string>,
): readonly BindingChange[] {
  const changes = Array.from(ids, (id) => ({ before: before.get(id), after: after.get(id) }));
  return changes.filter((change) => change.before !== change.after);
}

function* changeRouter(base: Snapshot, state: DocumentState, ids: ReadonlySet<string>): Steps<Router> {
  if (ids.size === 0) return base.router;
  const builder = createRouterBuilder(base.router);
  for (const id of ids) {
    const [old, api] = [base.good.state.apis.get(id), state.apis.get(id)];
    if (old) builder.remove(old);
    if (api) builder.add(api);
    yield;
  }
  return yield* builder.build();
}

/** Gives the chain of a route for callers not (yet) known. */
export function findRouteChain(snapshot: Snapshot, entry: RouteEntry): Chain {
  const known = entry.chain;
  if (known?.of === snapshot.chains) return (known as ChainMemo).chain;
  const { apiId, routeId } = entry;
  const compiled = compileChain(snapshot, { apiId, routeId });
  entry.chain = compiled;
  return compiled.chain;
}

/** Gives the chain of a route for a consumer; the route's own when no binding names the consumer or its groups. */
export function findConsumerChain(snapshot: Snapshot, entry: RouteEntry, consumer: Consumer): Chain {
  const { index } = snapshot;
  const isNamed = index.byConsumer.has(consumer.id);
  const groups = index.byGroup.size === 0 ? NO_GROUPS : consumer.groups.filter((group) => index.byGroup.has(group));
  if (!isNamed && groups.length === 0) return findRouteChain(snapshot, entry);
  const { apiId, routeId } = entry;
  const key = `${apiId} ${routeId} ${isNamed ? consumer.id : ''} ${groups.join(' ')}`;
  return findChain(snapshot, key, () => compileChain(snapshot, { apiId, routeId, consumerId: consumer.id, groups }));
}

const NO_GROUPS: readonly string[] = [];

/** Gives what runs for requests without a route: the observing plugins that are bound everywhere. */
export function findUnroutedChain(snapshot: Snapshot): Chain {
  return findChain(snapshot, UNROUTED, () => compileChain(snapshot, { apiId: '', routeId: '' }, 'observe'));
}

function findChain({ chains }: Snapshot, key: string, compile: () => ChainMemo): Chain {
  const known = chains.bySubject.get(key);
  if (known) return known;
  if (chains.bySubject.size >= MAX_CHAINS) chains.bySubject.clear();
  const { chain } = compile();
  chains.bySubject.set(key, chain);
  return chain;
}

function compileChain(
  { chains, index, instances, plugins }: Snapshot,
  subject: Parameters<typeof resolveBindings>[1],
  onlyStage?: string,
): ChainMemo {
  const bindings = resolveBindings(index, subject).flatMap(({ binding }) => binding ?? []);
  const running = orderBindings(bindings, plugins)
    .flatMap((binding) => instances.get(binding.id) ?? [])
    .filter(({ plugin }) => onlyStage === undefined || plugin.manifest.stage === onlyStage);
  const key = running.map(({ binding }) => binding.id).join(' ');
  const known = chains.byBindings.get(key);
  if (known) return known;
  if (chains.byBindings.size >= MAX_CHAINS) chains.byBindings.clear();
  const memo = { of: chains, chain: running.length === 0 ? EMPTY_CHAIN : buildChain(running) };
  chains.byBindings.set(key, memo);
  return memo;
}
