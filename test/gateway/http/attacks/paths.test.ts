// Attacks on what path, host and target mean: never past the guard of a route, never another meaning upstream than here.
// Must not list what a path may hold: path.test.ts and docs/routing.md do.
import assert from 'node:assert/strict';
import { makePlugin } from '../../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../../support/entities.ts';
import { type Arena, assertRefused, openArena } from '../../../support/wire/arena.ts';

/** Each reads as something below /admin to some server, or as nothing sure. */
const SPELLINGS = [
  ...['/admin', '/admin/', '/admin/x', '/%61dmin', '/%61%64%6d%69%6e/x', '/admin%2Fx', '/admin%2fx', '/x/../admin'],
  ...['/x/%2e%2e/admin', '/x/.%2e/admin', '/x/..%2fadmin', '/x/%2E%2E%2Fadmin', '/./admin', '/%2e/admin', '//admin'],
  ...[
    '/x//../admin',
    '/\\admin',
    '/x/..\\admin',
    '/%5cadmin',
    '/x/%5c..%5cadmin',
    '/admin;x',
    '/admin%3bx',
    '/;/admin',
  ],
  ...[
    '/admin%00',
    '/admin%23',
    '/admin%3f',
    '/admin%0d%0a',
    '/admin%C0%AFx',
    '/%c1%9cadmin',
    '/admin%',
    '/admin%2',
    '/%u0061dmin',
  ],
  ...['/admin#x', '/x#/../admin', '/x?a#b', '/admin\u00e9', '/\u00c0\u00ae\u00c0\u00ae/admin'],
];

/** Is a target in other than origin-form, its Host, and whether it may pass. */
const TARGETS: readonly (readonly [target: string, host: string, passes: boolean])[] = [
  ['http://h/x', 'h', true],
  ['HTTP://H/x', 'h', true],
  ['https://h/x', 'h', true],
  ['http://h:80/x', 'h:80', true],
  ['http://h', 'h', true],
  ['http://h?q', 'h', true],
  ['http://h/admin', 'h', false],
  ['http://evil/x', 'h', false],
  ['http://h/x', 'evil', false],
  ['http://h:81/x', 'h:80', false],
  ['http://h@evil/x', 'h', false],
  ['http://evil@h/x', 'h', false],
  ['http://h\\@evil/x', 'h', false],
  ['http:///x', 'h', false],
  ['http:/x', 'h', false],
  ['ftp://h/x', 'h', false],
  ['h/x', 'h', false],
  ['h:80', 'h:80', false],
  ['*', 'h', false],
  ['?x', 'h', false],
  ['http://h/x/../admin', 'h', false],
];

const HOSTS: readonly (readonly [host: string, read: string | undefined])[] = [
  ['h.example', 'h.example'],
  ['H.EXAMPLE', 'h.example'],
  ['h.example.', 'h.example'],
  ['h.example:443', 'h.example'],
  ['h.example.:80', 'h.example'],
  ['[::1]', '[::1]'],
  ['[::1]:80', '[::1]'],
  ['127.0.0.1', '127.0.0.1'],
  ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
  ...[
    'a@b',
    'a/x?',
    'a/x',
    'a?x',
    'a#',
    'a b',
    'a\tb',
    'a,b',
    'h:99999',
    'h:x',
    'h:',
    'h:-1',
    'h:80:80',
    ':80',
    '[::1',
    '::1',
    '[::1]x',
    '',
  ].map((host): readonly [string, undefined] => [host, undefined]),
  ...['h%2eexample', 'h\\example', 'b\u00fccher.example', 'h;x', "h'", 'http://h', '*'].map(
    (host): readonly [string, undefined] => [host, undefined],
  ),
];

describe('paths and hosts', () => {
  let arena: Arena;
  const seen: string[] = [];

  before(async () => {
    const guard = makePlugin('guard', {
      onRequest(exchange) {
        if (exchange.api.name === 'guarded') exchange.respond(403, {}, 'guarded');
      },
    });
    const first = makePlugin(
      'first',
      { onRequest: ({ request }) => void seen.push(request.path) },
      { stage: 'protect' },
    );
    const second = makePlugin('second', {
      onRequest: ({ request }) => void seen.push(request.path),
      onLog: ({ request }) => void seen.push(request.path),
    });
    const rewrite = makePlugin('rewrite', {
      onRequest({ request }) {
        if (request.path.startsWith('/rewrite/'))
          request.path = decodeURIComponent(request.path.slice('/rewrite'.length));
        if (request.path.startsWith('/query/'))
          request.query = decodeURIComponent(decodeURIComponent(request.path.slice('/query/'.length)));
      },
    });
    arena = await openArena({ plugins: [guard, first, second, rewrite], api: { enabled: false } });
    const { url } = arena.origin;
    const echo = (hosts: readonly string[], path: string) =>
      makeApi({
        name: path.slice(1).replace('/', ''),
        upstream: `${url}${path}`,
        retries: { attempts: 0 },
        routes: [makeRoute({ hosts, paths: ['/host'] })],
      });
    const names = [...new Set(HOSTS.flatMap(([, read]) => read ?? []))];
    const guarded = makeApi({
      name: 'guarded',
      upstream: url,
      routes: [makeRoute({ paths: ['/admin'], stripPath: false })],
    });
    const open = makeApi({
      name: 'open',
      upstream: url,
      retries: { attempts: 0 },
      routes: [makeRoute({ paths: ['/'], stripPath: false })],
    });
    const stripped = makeApi({
      name: 'stripped',
      upstream: `${url}/base`,
      retries: { attempts: 0 },
      routes: [makeRoute({ paths: ['/api', '~/re\\d+'] })],
    });
    await arena.gateway.apply(
      putAll({
        apis: [guarded, open, stripped, ...names.map((name, at) => echo([name], `/h${at}`))],
      }),
    );
  });

  after(() => arena.close());

  const get = (target: string, host = 'h', more = ''): string =>
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;

  for (const spelling of SPELLINGS) {
    it(`never lets ${JSON.stringify(spelling)} past the guard of /admin`, async () => {
      const { statuses, bytes } = await arena.attack(get(spelling));

      assert.ok(statuses[0] === 403 || statuses[0] === 400, String(statuses));
      assert.equal(bytes, '');
    });
  }

  for (const [target, host, passes] of TARGETS) {
    it(`${passes ? 'takes' : 'refuses'} ${target} with Host ${host}`, async () => {
      const { statuses, requests } = await arena.attack(get(target, host));

      assert.equal(statuses[0] === 200, passes, String(statuses));
      // What goes on is in origin-form, and names nobody.
      for (const request of requests) assert.match(request.target, /^\/(?:x|\?q)?$/);
    });
  }

  for (const [host, read] of HOSTS) {
    it(`${read === undefined ? 'refuses' : 'takes'} Host ${JSON.stringify(host)}`, async () => {
      const outcome = await arena.attack(get('/host', host));

      if (read === undefined) assertRefused(outcome, 400, /[^\t\x20-\x7e\x80-\xff]/.test(host) ? 'wire' : 'core');
      // Whatever the spelling, the same route.
      else assert.match(outcome.requests[0]?.target ?? '', /^\/h\d$/, outcome.text);
    });
  }

  it('takes HTTP/1.0 without Host, but not with a bad one', async () => {
    const without = await arena.attack('GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
    const bad = await arena.attack('GET /x HTTP/1.0\r\nConnection: keep-alive\r\nHost: a@b\r\n\r\n');

    assert.equal(without.statuses[0], 200);
    assertRefused(bad, 400, 'core');
  });

  for (const path of [
    '/api../admin',
    '/api%2e%2e/admin',
    '/api%2e/admin',
    '/api/../admin',
    '/api/%2e%2e/admin',
    '/re1/../admin',
    '/re1%2f..%2fadmin',
  ]) {
    it(`makes no dot segment of ${path} by stripping`, async () => {
      const { requests } = await arena.attack(get(path));

      for (const { target } of requests) assert.ok(!/\/\.{1,2}(?:\/|$)/.test(target) && target !== '/admin', target);
    });
  }

  for (const path of [
    '/rewrite/%2Fadmin%2F..%2F..%2Fx'.replaceAll('%2F', '%252F'),
    '/rewrite/a%2520b%250d%250aX:y',
    '/rewrite/%255cadmin',
    '/rewrite/x%253fy',
    '/rewrite/x%2523y',
  ]) {
    it(`answers 400 when a plugin makes of ${path} what a client may not send`, async () => {
      const { statuses, bytes } = await arena.attack(get(path));

      assert.equal(statuses[0], 400);
      assert.equal(bytes, '');
    });
  }

  it('answers 400 when a plugin makes a query with a line end', async () => {
    const { statuses, bytes } = await arena.attack(get('/query/a%0d%0aX:y'.replaceAll('%', '%25')));

    assert.equal(statuses[0], 400);
    assert.equal(bytes, '');
  });

  it('shows every plugin the same path, whatever the spelling', async () => {
    for (const spelling of ['/x/%61%2d%7E', '/x/%e2%82%ac', '/x/a%20b']) {
      seen.length = 0;
      const { requests } = await arena.attack(get(spelling));

      // Those of the probes come behind.
      const [path] = seen;
      assert.deepEqual(seen.slice(0, 3), [path, path, path]);
      assert.equal(requests[0]?.target, path);
    }
  });
});
