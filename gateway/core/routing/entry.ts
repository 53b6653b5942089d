// Compiles an api into what requests are routed to: an entry for each path of each route.
// Must not find any: that is router.ts.
import type { Api, ClientCertificatePolicy, Route, UpstreamRef } from '../model.ts';
import type { Destination } from '../upstream/balancer.ts';
import { buildFieldTests, type FieldTest, type PathPattern, readPathPattern } from './match.ts';

/**
 * Is one way into a route: the route by one of its paths. A route without paths has one entry with the prefix `/`.
 *
 * All that a request needs of api and route is copied into it. With thousands of routes none is in the processor's caches, and
 * each object more on the way would have to be fetched from memory.
 */
export interface RouteEntry {
  readonly methods: ReadonlySet<string> | undefined;
  readonly tests: readonly FieldTest[];
  /** What the snapshot remembers of it, and in which cache of chains that stands. */
  chain: { readonly of: object } | undefined;
  /** Where it sends to, as found last. */
  destination: Destination | undefined;
  readonly upstream: UpstreamRef;
  readonly apiId: string;
  readonly apiName: string;
  readonly routeId: string;
  /** The id of a route without a name. */
  readonly routeName: string;
  readonly stripPath: boolean;
  readonly preserveHost: boolean;
  /** The route's own bounds before the api's. */
  readonly connectMs: number;
  readonly responseMs: number;
  readonly idleMs: number;
  /** 0 = no bound. */
  readonly totalMs: number;
  /** Tries after the first. */
  readonly retries: number;
  readonly clientCertificate: ClientCertificatePolicy | undefined;
  readonly recordPerSecond: number | undefined;
  readonly pattern: PathPattern;
  /** As declared: for ordering and explaining, not for requests. */
  readonly api: Api;
  readonly route: Route;
}

/** Gives the entries of an api, route by route and path by path. */
export function buildEntries(api: Api): readonly RouteEntry[] {
  return api.routes.flatMap((route) => {
    const methods = route.methods.length > 0 ? new Set(route.methods) : undefined;
    const tests = buildFieldTests(route.headers, route.query);
    const { connectMs, responseMs, idleMs, totalMs = 0 } = { ...api.timeouts, ...route.timeouts };
    const paths = route.paths.length > 0 ? route.paths : ['/'];
    return paths.map((path) => ({
      methods,
      tests,
      chain: undefined,
      destination: undefined,
      upstream: api.upstream,
      apiId: api.id,
      apiName: api.name,
      routeId: route.id,
      routeName: route.name ?? route.id,
      stripPath: route.stripPath,
      preserveHost: api.preserveHost,
      connectMs,
      responseMs,
      idleMs,
      totalMs,
      retries: api.retries.attempts,
      clientCertificate: api.clientCertificate,
      recordPerSecond: api.recordPerSecond,
      pattern: readPathPattern(path),
      api,
      route,
    }));
  });
}

/** Says that a prefix like `/a/` matches below `/a` only. */
export function isSlashPrefix({ pattern: { kind, key } }: RouteEntry): boolean {
  return kind === 'prefix' && key.length > 1 && key.endsWith('/');
}

/** Orders entries that match the same host and the same path. */
export function compareEntries(a: RouteEntry, b: RouteEntry): number {
  // Longer expressions are as a rule the more particular ones; it is at least an order that does not depend on history.
  if (a.pattern.kind === 'regex' && b.pattern.kind === 'regex') {
    const byLength = b.pattern.key.length - a.pattern.key.length;
    if (byLength !== 0) return byLength;
  }
  return (
    b.tests.length - a.tests.length ||
    Number(b.methods !== undefined) - Number(a.methods !== undefined) ||
    compareText(a.api.name, b.api.name) ||
    compareText(a.route.name ?? '', b.route.name ?? '') ||
    compareText(a.route.id, b.route.id)
  );
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
