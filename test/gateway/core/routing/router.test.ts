// Routing: the documented order of precedence, 404 against 405, and the same answer as a slow, plain router.
import assert from 'node:assert/strict';
import type { Api, Route } from '../../../../gateway/core/model.ts';
import { buildEntries, compareEntries, type RouteEntry } from '../../../../gateway/core/routing/entry.ts';
import { type MatchRequest, matchesHost, matchesPath } from '../../../../gateway/core/routing/match.ts';
import { createRouterBuilder, EMPTY_ROUTER, findRoute, type Router } from '../../../../gateway/core/routing/router.ts';
import { atOnce } from '../../../../gateway/core/slicer.ts';
import { makeApi, makeRoute } from '../../../support/entities.ts';

function buildRouter(apis: readonly Api[]): Router {
  const builder = createRouterBuilder(EMPTY_ROUTER);
  for (const api of apis) builder.add(api);
  return atOnce(builder.build());
}

function apisOf(routes: Readonly<Record<string, Partial<Route>>>): Api[] {
  return Object.entries(routes).map(([name, fields]) => makeApi({ name, routes: [makeRoute(fields)] }));
}

function request(
  fields: Partial<MatchRequest> & { readonly headerLines?: Record<string, string[]> } = {},
): MatchRequest {
  const { headerLines = {}, ...rest } = fields;
  return {
    method: 'GET',
    host: 'h.example',
    path: '/',
    query: '',
    headers: { getAll: (name) => headerLines[name] ?? [] },
    ...rest,
  };
}

function nameOf(router: Router, asked: MatchRequest): string | undefined {
  return findRoute(router, asked).entry?.api.name;
}

describe('router', () => {
  it('prefers an exact host to a wildcard, a longer wildcard to a shorter, and any wildcard to no host', () => {
    const router = buildRouter(
      apisOf({
        any: { paths: ['/'] },
        short: { hosts: ['*.example'] },
        long: { hosts: ['*.api.example'] },
        exact: { hosts: ['a.api.example'] },
      }),
    );

    assert.equal(nameOf(router, request({ host: 'a.api.example' })), 'exact');
    assert.equal(nameOf(router, request({ host: 'b.api.example' })), 'long');
    assert.equal(nameOf(router, request({ host: 'x.b.api.example' })), 'long');
    assert.equal(nameOf(router, request({ host: 'api.example' })), 'short');
    assert.equal(nameOf(router, request({ host: 'example' })), 'any');
  });

  it('prefers exact paths, then expressions, then the longest prefix on a segment border', () => {
    const router = buildRouter(
      apisOf({
        root: { paths: ['/'] },
        short: { paths: ['/a'] },
        long: { paths: ['/a/b'] },
        below: { paths: ['/s/'] },
        expression: { paths: ['~/a/[0-9]+'] },
        exact: { paths: ['=/a/7'] },
      }),
    );
    const cases: readonly (readonly [string, string])[] = [
      ['/', 'root'],
      ['/ab', 'root'],
      ['/a', 'short'],
      ['/a/', 'short'],
      ['/a/x', 'short'],
      ['/a/b', 'long'],
      ['/a/b/c/d', 'long'],
      ['/a/bc', 'short'],
      ['/a/12', 'expression'],
      ['/a/12/x', 'short'],
      ['/a/7', 'exact'],
      ['/s', 'root'],
      ['/s/', 'below'],
      ['/s/x', 'below'],
    ];

    for (const [path, name] of cases) assert.equal(nameOf(router, request({ path })), name, path);
  });

  it('goes on to a less specific route when a header, a query or the method does not match', () => {
    const router = buildRouter(
      apisOf({
        plain: { paths: ['/a'] },
        header: { paths: ['/a'], headers: { 'x-v': ['1', '2'] } },
        query: { paths: ['/a'], query: { v: ['3'] } },
        post: { paths: ['=/a'], methods: ['POST'] },
      }),
    );

    assert.equal(nameOf(router, request({ path: '/a' })), 'plain');
    assert.equal(nameOf(router, request({ path: '/a', headerLines: { 'x-v': ['2'] } })), 'header');
    assert.equal(nameOf(router, request({ path: '/a', headerLines: { 'x-v': ['2', 'bad'] } })), 'plain');
    assert.equal(nameOf(router, request({ path: '/a', query: 'v=3' })), 'query');
    assert.equal(nameOf(router, request({ path: '/a', query: '%76=3' })), 'query');
    assert.equal(nameOf(router, request({ path: '/a', query: 'v=3&v=4' })), 'plain');
    assert.equal(nameOf(router, request({ path: '/a', method: 'POST' })), 'post');
  });

  it('tells a wrong method from an unknown path', () => {
    const router = buildRouter(
      apisOf({ one: { paths: ['/a'], methods: ['GET'] }, two: { paths: ['/a'], methods: ['PUT'] } }),
    );

    const wrong = findRoute(router, request({ path: '/a', method: 'DELETE' }));
    const unknown = findRoute(router, request({ path: '/b' }));

    assert.deepEqual(wrong.entry ? [] : [...wrong.allowedMethods].sort(), ['GET', 'PUT']);
    assert.equal(unknown.entry ? -1 : unknown.allowedMethods.size, 0);
  });

  it('forgets a removed api and a disabled one, and leaves the router it was built from as it was', () => {
    const [one, two] = apisOf({ one: { paths: ['/a'], hosts: ['h'] }, two: { paths: ['/a'] } });
    assert.ok(one && two);
    const before = buildRouter([one, two]);
    const builder = createRouterBuilder(before);
    builder.remove(one);
    const after = atOnce(builder.build());

    assert.equal(nameOf(before, request({ host: 'h', path: '/a' })), 'one');
    assert.equal(nameOf(after, request({ host: 'h', path: '/a' })), 'two');
    assert.equal(after.exactHosts.size, 0);
    assert.equal(nameOf(buildRouter([{ ...two, enabled: false }]), request({ path: '/a' })), undefined);
  });

  it('finds what a plain search over all routes finds, for thousands of generated routers', () => {
    const words = ['/', '/a', '/a/b', '/a/', '/a/b/c', '/a/b/', '/b', '=/a', '=/a/b', '~/a/.*', '~/[ab]'];
    const hosts = ['h', '*.h', '*.a.h', 'a.h'];
    const paths = ['/', '/a', '/a/b', '/a/b/', '/a/b/c', '/a/b/c/d/e', '/b', '/ab', '/a/'];
    let seed = 11;
    const pick = <T>(list: readonly T[]): T => {
      seed = (seed * 48_271) % 2_147_483_647;
      return list[seed % list.length] as T;
    };

    for (let round = 0; round < 3_000; round++) {
      const apis = Array.from({ length: 6 }, (_, index) =>
        makeApi({
          name: `api-${index}`,
          routes: [
            makeRoute({
              paths: [pick(words)],
              hosts: pick([[], [], [pick(hosts)]]),
              methods: pick([[], ['GET'], ['POST']]),
            }),
          ],
        }),
      );
      const asked = request({
        host: pick(['h', 'a.h', 'b.a.h', 'x']),
        path: pick(paths),
        method: pick(['GET', 'POST']),
      });

      assert.equal(nameOf(buildRouter(apis), asked), searchAll(apis, asked)?.api.name, JSON.stringify(asked));
    }
  });

  it('finds a route among a hundred thousand without looking through them', () => {
    const apis = Array.from({ length: 100_000 }, (_, index) =>
      makeApi({ name: `n${index}`, routes: [makeRoute({ paths: [`/p${index}`] })] }),
    );
    const router = buildRouter(apis);
    const asked = request({ path: '/p99999/x/y' });
    const timeOf = (search: () => unknown): number => {
      const startedAt = performance.now();
      search();
      return performance.now() - startedAt;
    };

    const searchedMs = timeOf(() => apis.find(({ name }) => name === 'n99999'));
    const foundMs = timeOf(() => {
      for (let round = 0; round < 100; round++) findRoute(router, asked);
    });

    assert.equal(nameOf(router, asked), 'n99999');
    // A hundred look-ups against the simplest possible look through the list once, on whatever machine.
    assert.ok(foundMs < searchedMs * 10, `${foundMs} ms against ${searchedMs} ms`);
  }).timeout(30_000);
});

/** Routes by the words of the documentation: rank every route that matches and take the best. */
function searchAll(apis: readonly Api[], asked: MatchRequest): RouteEntry | undefined {
  const hostRank = (entry: RouteEntry): number => {
    if (entry.route.hosts.length === 0) return 1000;
    const ranks = entry.route.hosts
      .filter((host) => matchesHost(host, asked.host))
      .map((host) => (host.startsWith('*') ? 500 - host.length : 0));
    return Math.min(...ranks);
  };
  const pathRank = ({ pattern }: RouteEntry): number => {
    if (pattern.kind === 'exact') return 0;
    return pattern.kind === 'regex' ? 1 : 1000 - pattern.key.length;
  };
  return apis
    .flatMap((api) => buildEntries(api))
    .filter(({ route }) => route.hosts.length === 0 || route.hosts.some((host) => matchesHost(host, asked.host)))
    .filter(({ pattern, methods }) => matchesPath(pattern, asked.path) && (methods?.has(asked.method) ?? true))
    .sort((a, b) => hostRank(a) - hostRank(b) || pathRank(a) - pathRank(b) || compareEntries(a, b))[0];
}
