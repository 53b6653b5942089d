// Explains a request without sending it: routes considered and why each lost, plugins in order and where each comes from.
// Must use the code that serves traffic, never a second reading of the rules.
import type { DocumentState } from './config.ts';
import { findAmong, type PluginFinder } from './document/installs.ts';
import { GatewayError } from './errors.ts';
import { readHost } from './exchange/headers.ts';
import type { Binding, Consumer, Scope } from './model.ts';
import { buildEntries, type RouteEntry } from './routing/entry.ts';
import { buildCondition, type MatchRequest, matchesHost, matchesPath } from './routing/match.ts';
import { readRequestTarget } from './routing/path.ts';
import { buildBindingIndex, orderBindings, resolveBindings } from './routing/resolve.ts';
import { createRouterBuilder, EMPTY_ROUTER, findRoute } from './routing/router.ts';
import { atOnce } from './slicer.ts';
import { joinUpstreamTarget } from './upstream/target-path.ts';

/** Most routes that lost which are listed; the nearest misses come first. */
const MAX_CONSIDERED = 50;

/** Describes the request to explain. `consumer` is an id or a user name. */
export interface ExplainRequest {
  readonly method: string;
  readonly host: string;
  /** Path with or without a query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly consumer?: string;
}

/** Is one route that was considered. `verdict` says why it lost, or `matched`. */
export interface ConsideredRoute {
  readonly api: string;
  readonly route: string;
  readonly path: string;
  readonly verdict: string;
}

/** Is one plugin that would run, with where it comes from and what it beat. */
export interface ExplainedPlugin {
  readonly plugin: string;
  readonly name?: string;
  readonly stage: string;
  readonly order: number;
  readonly binding: string;
  readonly scope: Scope;
  /** True when it runs because its `when` matches. */
  readonly isConditional: boolean;
  readonly beats: readonly { readonly binding: string; readonly scope: Scope; readonly effect: string }[];
}

/** Answers what would happen to a request. */
export interface Explanation {
  readonly canonicalPath?: string;
  /** The answer the gateway itself would give, if it would. */
  readonly error?: { readonly code: string; readonly detail: string };
  readonly considered: readonly ConsideredRoute[];
  readonly route?: { readonly api: string; readonly apiId: string; readonly route: string; readonly routeId: string };
  readonly plugins: readonly ExplainedPlugin[];
  readonly excluded: readonly { readonly plugin: string; readonly binding: string }[];
  /** Bindings that hold here, but whose `when` does not match the request. */
  readonly skipped: readonly { readonly plugin: string; readonly binding: string }[];
  readonly target?: { readonly upstream: string; readonly path: string };
}

const NOTHING_RUNS = { plugins: [], excluded: [], skipped: [] } as const;

/** Explains a request on a document. Never throws for what a client could send. */
export function explainRequest(document: DocumentState, folders: PluginFinder, request: ExplainRequest): Explanation {
  const plugins = findAmong(folders, document.installs.values());
  let match: MatchRequest;
  try {
    match = readMatchRequest(request);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { error: { code: error.code, detail: error.message }, considered: [], ...NOTHING_RUNS };
  }
  const builder = createRouterBuilder(EMPTY_ROUTER);
  for (const api of document.apis.values()) builder.add(api);
  const found = findRoute(atOnce(builder.build()), match);
  const considered = listConsidered(document, match, found.entry);
  const base = { canonicalPath: match.path, considered };
  if (!found.entry) {
    const methods = [...found.allowedMethods].sort().join(', ');
    const error =
      methods === ''
        ? { code: 'ROUTE_NOT_FOUND', detail: 'no api is published at this host and path' }
        : { code: 'METHOD_NOT_ALLOWED', detail: `expected one of ${methods}` };
    return { ...base, error, ...NOTHING_RUNS };
  }
  const consumer = findConsumer(document, request.consumer);
  if (request.consumer !== undefined && !consumer) {
    const error = { code: 'CONSUMER_NOT_FOUND', detail: 'no such consumer' };
    return { ...base, error, ...NOTHING_RUNS };
  }
  return { ...base, ...explainRoute(document, plugins, { entry: found.entry, match, consumer }) };
}

function readMatchRequest(request: ExplainRequest): MatchRequest {
  const host = readHost(request.host);
  const { path, query } = readRequestTarget(request.path, request.host);
  const values = new Map(Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]));
  return {
    method: request.method.toUpperCase(),
    host,
    path,
    query: query ?? '',
    headers: {
      getAll: (name) => {
        const value = values.get(name);
        return value === undefined ? [] : [value];
      },
    },
  };
}

function findConsumer(document: DocumentState, key: string | undefined): Consumer | undefined {
  if (key === undefined) return undefined;
  const byId = document.consumers.get(key);
  if (byId) return byId;
  for (const consumer of document.consumers.values()) if (consumer.username === key) return consumer;
  return undefined;
}

function explainRoute(
  document: DocumentState,
  plugins: PluginFinder,
  subject: { readonly entry: RouteEntry; readonly match: MatchRequest; readonly consumer: Consumer | undefined },
): Pick<Explanation, 'route' | 'plugins' | 'excluded' | 'skipped' | 'target'> {
  const { entry, match, consumer } = subject;
  const { api, route } = entry;
  const resolutions = resolveBindings(buildBindingIndex(document.bindings.values()), {
    apiId: api.id,
    routeId: route.id,
    consumerId: consumer?.id,
    groups: consumer?.groups,
  });
  const beatenBy = new Map(resolutions.flatMap((one) => (one.binding ? [[one.binding.id, one.beaten] as const] : [])));
  const holding = resolutions.flatMap(({ binding }) => binding ?? []);
  const running = holding.filter(({ when }) => when === undefined || buildCondition(when)(match));
  const explain = (binding: Binding): ExplainedPlugin => ({
    plugin: binding.plugin,
    ...(binding.name === undefined ? {} : { name: binding.name }),
    stage: plugins.get(binding.plugin)?.manifest.stage ?? 'unknown',
    order: binding.order,
    binding: binding.id,
    scope: binding.scope,
    isConditional: binding.when !== undefined,
    beats: (beatenBy.get(binding.id) ?? []).map(({ id, scope, effect }) => ({ binding: id, scope, effect })),
  });
  return {
    route: { api: api.name, apiId: api.id, route: route.name ?? route.id, routeId: route.id },
    plugins: orderBindings(running, plugins).map(explain),
    excluded: resolutions.flatMap(({ plugin, excludedBy }) => (excludedBy ? [{ plugin, binding: excludedBy.id }] : [])),
    skipped: holding.flatMap((one) => (running.includes(one) ? [] : [{ plugin: one.plugin, binding: one.id }])),
    target: {
      upstream: typeof api.upstream === 'string' ? new URL(api.upstream).origin : api.upstream.name,
      path: joinUpstreamTarget({ entry, path: match.path, query: match.query, basePath: basePathOf(api.upstream) }),
    },
  };
}

function basePathOf(upstream: string | { readonly name: string }): string {
  return typeof upstream === 'string' ? new URL(upstream).pathname.replace(/\/$/, '') : '';
}

function listConsidered(
  document: DocumentState,
  match: MatchRequest,
  winner: RouteEntry | undefined,
): readonly ConsideredRoute[] {
  const rated: { readonly nearness: number; readonly considered: ConsideredRoute }[] = [];
  for (const api of document.apis.values()) {
    for (const entry of buildEntries(api)) {
      const isWinner = winner?.route.id === entry.route.id && winner.pattern.key === entry.pattern.key;
      const [nearness, verdict] = isWinner ? [9, 'matched'] : judge(entry, match, winner);
      const { route, pattern } = entry;
      const considered = { api: api.name, route: route.name ?? route.id, path: pattern.key, verdict };
      rated.push({ nearness, considered });
    }
  }
  return rated
    .sort((a, b) => b.nearness - a.nearness)
    .slice(0, MAX_CONSIDERED)
    .map(({ considered }) => considered);
}

/** Gives how many fields matched before the first that did not, and which one that was. */
function judge(entry: RouteEntry, match: MatchRequest, winner: RouteEntry | undefined): readonly [number, string] {
  const { api, route, pattern, methods, tests } = entry;
  if (route.hosts.length > 0 && !route.hosts.some((host) => matchesHost(host, match.host))) {
    return [0, `host: expected ${route.hosts.join(' or ')}`];
  }
  if (!matchesPath(pattern, match.path)) return [1, `path: ${pattern.kind} ${pattern.key} does not match`];
  if (!api.enabled) return [2, 'the api is disabled'];
  if (!tests.every((test) => test(match))) return [3, 'header or query: a declared value does not match'];
  if (methods && !methods.has(match.method)) return [4, `method: expected ${[...methods].join(', ')}`];
  if (winner && isAsSpecific(entry, winner)) {
    return [5, `matches just as well, but ${winner.api.name} comes first by name: let one of them ask for more`];
  }
  return [5, 'matches too, but a more specific route comes first'];
}

/** Says that nothing but names decides between two routes that match. */
function isAsSpecific(a: RouteEntry, b: RouteEntry): boolean {
  return (
    a.pattern.kind === b.pattern.kind &&
    a.pattern.key === b.pattern.key &&
    a.tests.length === b.tests.length &&
    (a.methods === undefined) === (b.methods === undefined) &&
    a.route.hosts.join() === b.route.hosts.join()
  );
}
