// Compiles a document into what traffic runs on: frozen, numbered, built beside the old one and swapped whole.
// Must not hold the event loop, and must not touch the snapshot that is serving.
import { checkDocument, type EntityProblem } from './check.ts';
import { type DocumentState, EMPTY_DOCUMENT } from './config.ts';
import type { Api, Binding } from './model.ts';
import { buildChain, type Chain, EMPTY_CHAIN, type Instance, type LoadedPlugin, type Loan } from './pipeline.ts';
import type { Consumer } from './plugin.ts';
import { buildCondition } from './routing/match.ts';
import { type BindingIndex, buildBindingIndex, orderBindings, resolveBindings } from './routing/resolve.ts';
import { createRouterBuilder, EMPTY_ROUTER, type RouteEntry, type Router } from './routing/router.ts';
import { createSlicer } from './slicer.ts';

/** Most chains of single consumers kept per snapshot; beyond, they are built again when needed. */
const MAX_CONSUMER_CHAINS = 10_000;
/** Longest that a plugin may take to set up one binding. */
const SETUP_TIMEOUT_MS = 10_000;
/** Stands for the route where there is none. */
const UNROUTED = {};

/** Is a document compiled. */
export interface Snapshot {
  readonly revision: number;
  readonly document: DocumentState;
  readonly router: Router;
  readonly index: BindingIndex;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly plugins: ReadonlyMap<string, LoadedPlugin>;
  /** Chains filled on first use: by route, which goes with its api; and by api, route, consumer and groups. */
  readonly routeChains: WeakMap<object, Chain>;
  readonly consumerChains: Map<string, Chain>;
}

/** Is the snapshot before the first revision: no route. */
export const EMPTY_SNAPSHOT: Snapshot = {
  revision: 0,
  document: EMPTY_DOCUMENT,
  router: EMPTY_ROUTER,
  index: buildBindingIndex([]),
  instances: new Map(),
  plugins: new Map(),
  routeChains: new WeakMap(),
  consumerChains: new Map(),
};

/** Is what compiling needs. */
export interface SnapshotOptions {
  readonly plugins: ReadonlyMap<string, LoadedPlugin>;
  /** Lends a binding what it may use, from its set-up to its close. */
  lend(binding: Binding): Loan;
  /** Ids of the only apis that may differ from those of the snapshot before; absent = any. */
  readonly touchedApis?: ReadonlySet<string> | undefined;
}

/** Is the result of compiling: a snapshot, or every reason against it. */
export type Compiled =
  | { readonly ok: true; readonly snapshot: Snapshot }
  | { readonly ok: false; readonly problems: readonly EntityProblem[] };

/**
 * Compiles `document` beside `previous`, sharing everything that did not change: routes of untouched apis, set-ups of
 * untouched bindings. Refuses whole: nothing of a refused document stays.
 */
export async function buildSnapshot(
  document: DocumentState,
  previous: Snapshot,
  options: SnapshotOptions,
): Promise<Compiled> {
  const problems = checkDocument(document, options.plugins, { consumers: 'elsewhere' });
  if (problems.length > 0) return { ok: false, problems };

  const router = await buildRouter(document.apis, previous, options.touchedApis);
  const isSameBindings = document.bindings === previous.document.bindings;
  const setUp = isSameBindings
    ? { instances: previous.instances, problems: [] }
    : await buildInstances(document, previous, options);
  if (setUp.problems.length > 0) return { ok: false, problems: setUp.problems };

  const { instances } = setUp;
  const index = isSameBindings ? previous.index : buildBindingIndex(document.bindings.values());
  return {
    ok: true,
    snapshot: {
      revision: document.revision,
      document,
      router,
      index,
      instances,
      plugins: options.plugins,
      routeChains: isSameBindings ? previous.routeChains : new WeakMap(),
      consumerChains: isSameBindings ? previous.consumerChains : new Map(),
    },
  };
}

async function buildRouter(
  apis: ReadonlyMap<string, Api>,
  previous: Snapshot,
  touched: ReadonlySet<string> | undefined,
): Promise<Router> {
  const before = previous.document.apis;
  if (apis === before) return previous.router;
  const slicer = createSlicer();
  const builder = createRouterBuilder(previous.router);
  if (touched) {
    for (const id of touched) {
      const [old, api] = [before.get(id), apis.get(id)];
      if (old) builder.remove(old);
      if (api) builder.add(api);
    }
    return builder.build();
  }
  for (const [id, api] of before) {
    if (apis.get(id) !== api) builder.remove(api);
    const pause = slicer.step();
    if (pause) await pause;
  }
  for (const [id, api] of apis) {
    if (before.get(id) !== api) builder.add(api);
    const pause = slicer.step();
    if (pause) await pause;
  }
  return builder.build();
}

async function buildInstances(
  document: DocumentState,
  previous: Snapshot,
  options: SnapshotOptions,
): Promise<{ instances: ReadonlyMap<string, Instance>; problems: readonly EntityProblem[] }> {
  const slicer = createSlicer();
  const instances = new Map<string, Instance>();
  const problems: EntityProblem[] = [];
  for (const [id, binding] of document.bindings) {
    const known = previous.instances.get(id);
    const plugin = options.plugins.get(binding.plugin);
    if (!plugin || !binding.enabled || binding.effect === 'exclude') continue;
    try {
      const isKnown = known?.binding === binding;
      instances.set(id, isKnown ? known : await setUpBinding(binding, plugin, known, options.lend(binding)));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      problems.push({ kind: 'binding', id, pointer: '/config', code: 'SETUP_FAILED', message });
    }
    const pause = slicer.step();
    if (pause) await pause;
  }
  if (problems.length > 0) await closeInstances([...instances.values()].filter(({ holders }) => holders === 0));
  return { instances, problems };
}

async function setUpBinding(
  binding: Binding,
  plugin: LoadedPlugin,
  known: Instance | undefined,
  loan: Loan,
): Promise<Instance> {
  try {
    const state = plugin.plugin.setup?.(binding.config, loan.host);
    return {
      binding,
      plugin,
      config: binding.config,
      state: state instanceof Promise ? await withinTime(plugin, state) : state,
      // What a binding costs is counted over its changes of configuration.
      stats: known?.stats ?? { calls: 0, errors: 0, timeouts: 0, totalMs: 0 },
      when: binding.when && buildCondition(binding.when),
      loan,
      holders: 0,
    };
  } catch (error) {
    loan.end();
    throw error;
  }
}

function withinTime({ plugin }: LoadedPlugin, setUp: Promise<unknown>): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`set-up took longer than ${SETUP_TIMEOUT_MS} ms`));
      // Nobody waits for it any more; what it opens all the same must not stay open.
      setUp.then((state) => plugin.close?.(state)).catch(() => undefined);
    }, SETUP_TIMEOUT_MS);
    setUp.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Closes set-ups that no request uses any more. A failing close harms nobody. */
export async function closeInstances(instances: readonly Instance[]): Promise<void> {
  for (const { loan } of instances) loan.end();
  await Promise.allSettled(instances.map(async (one) => one.plugin.plugin.close?.(one.state)));
}

/** Gives the chain of a route for callers not (yet) known. */
export function findRouteChain(snapshot: Snapshot, { api, route }: RouteEntry): Chain {
  const known = snapshot.routeChains.get(route);
  if (known) return known;
  const chain = compileChain(snapshot, { apiId: api.id, routeId: route.id });
  snapshot.routeChains.set(route, chain);
  return chain;
}

/** Gives the chain of a route for a consumer; the route's own when no binding names the consumer or its groups. */
export function findConsumerChain(snapshot: Snapshot, entry: RouteEntry, consumer: Consumer): Chain {
  const { index } = snapshot;
  const isNamed = index.byConsumer.has(consumer.id);
  const groups = index.byGroup.size === 0 ? [] : consumer.groups.filter((group) => index.byGroup.has(group));
  if (!isNamed && groups.length === 0) return findRouteChain(snapshot, entry);
  const apiId = entry.api.id;
  const routeId = entry.route.id;
  const key = `${apiId} ${routeId} ${isNamed ? consumer.id : ''} ${groups.join(' ')}`;
  const known = snapshot.consumerChains.get(key);
  if (known) return known;
  if (snapshot.consumerChains.size >= MAX_CONSUMER_CHAINS) snapshot.consumerChains.clear();
  const chain = compileChain(snapshot, { apiId, routeId, consumerId: consumer.id, groups });
  snapshot.consumerChains.set(key, chain);
  return chain;
}

/** Gives what runs for requests without a route: the observing plugins that are bound everywhere. */
export function findUnroutedChain(snapshot: Snapshot): Chain {
  const known = snapshot.routeChains.get(UNROUTED);
  if (known) return known;
  const chain = compileChain(snapshot, { apiId: '', routeId: '' }, 'observe');
  snapshot.routeChains.set(UNROUTED, chain);
  return chain;
}

function compileChain(snapshot: Snapshot, subject: Parameters<typeof resolveBindings>[1], onlyStage?: string): Chain {
  const bindings = resolveBindings(snapshot.index, subject).flatMap(({ binding }) => binding ?? []);
  const instances = orderBindings(bindings, snapshot.plugins)
    .flatMap((binding) => snapshot.instances.get(binding.id) ?? [])
    .filter(({ plugin }) => onlyStage === undefined || plugin.manifest.stage === onlyStage);
  return instances.length === 0 ? EMPTY_CHAIN : buildChain(instances);
}
