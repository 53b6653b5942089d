// Compiles a document into what traffic runs on: frozen, numbered, built beside the old one and swapped whole.
// Must not hold the event loop, and must not touch the snapshot that is serving.
import { checkDocument, type EntityProblem } from './check.ts';
import { type DocumentState, EMPTY_DOCUMENT } from './config.ts';
import type { Api, Binding } from './model.ts';
import { buildChain, type Chain, EMPTY_CHAIN, type Instance, type LoadedPlugin } from './pipeline.ts';
import type { Consumer, Host, MaybePromise } from './plugin.ts';
import { buildFieldTests, type FieldTest, matchesPath, readPathPattern } from './routing/match.ts';
import { type BindingIndex, buildBindingIndex, orderBindings, resolveBindings } from './routing/resolve.ts';
import { createRouterBuilder, EMPTY_ROUTER, type Router } from './routing/router.ts';
import { createSlicer } from './slicer.ts';

/** Most chains of single consumers kept per snapshot; beyond, they are built again when needed. */
const MAX_CONSUMER_CHAINS = 10_000;
/** Longest that a plugin may take to set up one binding. */
const SETUP_TIMEOUT_MS = 10_000;

/** Is a document compiled. */
export interface Snapshot {
  readonly revision: number;
  readonly document: DocumentState;
  readonly router: Router;
  readonly index: BindingIndex;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly plugins: ReadonlyMap<string, LoadedPlugin>;
  /** Chains by route id, and by route, consumer and groups; filled on first use. */
  readonly routeChains: Map<string, Chain>;
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
  routeChains: new Map(),
  consumerChains: new Map(),
};

/** Is what compiling needs. */
export interface SnapshotOptions {
  readonly plugins: ReadonlyMap<string, LoadedPlugin>;
  /** Makes what a binding is lent at set-up. */
  hostOf(binding: Binding): Host;
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

  const router = await buildRouter(document.apis, previous);
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
      routeChains: isSameBindings ? previous.routeChains : new Map(),
      consumerChains: isSameBindings ? previous.consumerChains : new Map(),
    },
  };
}

async function buildRouter(apis: ReadonlyMap<string, Api>, previous: Snapshot): Promise<Router> {
  const before = previous.document.apis;
  if (apis === before) return previous.router;
  const slicer = createSlicer();
  const builder = createRouterBuilder(previous.router);
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
      instances.set(id, isKnown ? known : await setUpBinding(binding, plugin, known, options.hostOf(binding)));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      problems.push({ kind: 'binding', id, pointer: '/config', code: 'SETUP_FAILED', message });
    }
    const pause = slicer.step();
    if (pause) await pause;
  }
  if (problems.length > 0) await closeInstances(findGone(instances, previous.instances));
  return { instances, problems };
}

async function setUpBinding(
  binding: Binding,
  plugin: LoadedPlugin,
  known: Instance | undefined,
  host: Host,
): Promise<Instance> {
  const state: MaybePromise<unknown> = plugin.plugin.setup?.(binding.config, host);
  return {
    binding,
    plugin,
    config: binding.config,
    state: state instanceof Promise ? await withinTime(state) : state,
    // What a binding costs is counted over its changes of configuration.
    stats: known?.stats ?? { calls: 0, errors: 0, timeouts: 0, totalMs: 0 },
    when: buildCondition(binding),
  };
}

function withinTime<T>(promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`set-up took longer than ${SETUP_TIMEOUT_MS} ms`)),
      SETUP_TIMEOUT_MS,
    );
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function buildCondition(binding: Binding): FieldTest | undefined {
  const { when } = binding;
  if (!when) return undefined;
  const methods = new Set(when.methods ?? []);
  const patterns = (when.paths ?? []).map(readPathPattern);
  const tests = buildFieldTests(when.headers ?? {}, when.query ?? {});
  return (request) =>
    (methods.size === 0 || methods.has(request.method)) &&
    (patterns.length === 0 || patterns.some((pattern) => matchesPath(pattern, request.path))) &&
    tests.every((test) => test(request));
}

/** Gives the instances of `before` that are not in `after`. */
export function findGone(
  before: ReadonlyMap<string, Instance>,
  after: ReadonlyMap<string, Instance>,
): readonly Instance[] {
  return [...before].flatMap(([id, instance]) => (after.get(id) === instance ? [] : [instance]));
}

/** Closes set-ups that no request uses any more. A failing close harms nobody. */
export async function closeInstances(instances: readonly Instance[]): Promise<void> {
  await Promise.allSettled(instances.map(async (one) => one.plugin.plugin.close?.(one.state)));
}

/** Gives the chain of a route for callers not (yet) known. */
export function findRouteChain(snapshot: Snapshot, apiId: string, routeId: string): Chain {
  const known = snapshot.routeChains.get(routeId);
  if (known) return known;
  const chain = compileChain(snapshot, { apiId, routeId });
  snapshot.routeChains.set(routeId, chain);
  return chain;
}

/** Gives the chain of a route for a consumer; the route's own when no binding names the consumer or its groups. */
export function findConsumerChain(snapshot: Snapshot, apiId: string, routeId: string, consumer: Consumer): Chain {
  const { index } = snapshot;
  const isNamed = index.byConsumer.has(consumer.id);
  const groups = index.byGroup.size === 0 ? [] : consumer.groups.filter((group) => index.byGroup.has(group));
  if (!isNamed && groups.length === 0) return findRouteChain(snapshot, apiId, routeId);
  const key = `${routeId} ${isNamed ? consumer.id : ''} ${groups.join(' ')}`;
  const known = snapshot.consumerChains.get(key);
  if (known) return known;
  if (snapshot.consumerChains.size >= MAX_CONSUMER_CHAINS) snapshot.consumerChains.clear();
  const chain = compileChain(snapshot, { apiId, routeId, consumerId: consumer.id, groups });
  snapshot.consumerChains.set(key, chain);
  return chain;
}

/** Gives what runs for requests without a route: the observing plugins that are bound everywhere. */
export function findUnroutedChain(snapshot: Snapshot): Chain {
  const known = snapshot.routeChains.get('');
  if (known) return known;
  const chain = compileChain(snapshot, { apiId: '', routeId: '' }, 'observe');
  snapshot.routeChains.set('', chain);
  return chain;
}

function compileChain(snapshot: Snapshot, subject: Parameters<typeof resolveBindings>[1], onlyStage?: string): Chain {
  const bindings = resolveBindings(snapshot.index, subject).flatMap(({ binding }) => binding ?? []);
  const instances = orderBindings(bindings, snapshot.plugins)
    .flatMap((binding) => snapshot.instances.get(binding.id) ?? [])
    .filter(({ plugin }) => onlyStage === undefined || plugin.manifest.stage === onlyStage);
  return instances.length === 0 ? EMPTY_CHAIN : buildChain(instances);
}
