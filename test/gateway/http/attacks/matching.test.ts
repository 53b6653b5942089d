// Attacks on which route a request is for: spellings among many routes, repeated values, configuration that looks like a pattern.
// Must not test how routes rank: router.test.ts does.
import assert from 'node:assert/strict';
import type { Route } from '../../../../gateway/core/model.ts';
import { makePlugin } from '../../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../../support/entities.ts';
import { type Arena, openArena } from '../../../support/wire/arena.ts';

const SPELLINGS = [
  ...['/admin', '/admin/x', '/%61dmin', '/admin%2Fx', '/x/../admin', '/x/%2e%2e/admin', '/x/%2E%2e%2fadmin'],
  ...[
    '//admin',
    '/./admin',
    '/x/..\\admin',
    '/%5Cadmin',
    '/admin;x',
    '/admin%3Bx',
    '/admin%00',
    '/admin#',
    '/admin%23',
  ],
];
const HOSTS = ['secret.example', 'SECRET.example', 'Secret.Example.', 'secret.example:80', 'SECRET.EXAMPLE.:443'];

const GUARD = makePlugin('guard', {
  onRequest(exchange) {
    if (exchange.api.name === 'guarded') exchange.respond(403, {}, 'guarded');
  },
});

const get = (target: string, host = 'h', lines: readonly string[] = []): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`;

/** Publishes apis of these routes; the one named `guarded` answers 403. */
async function openGuarded(apis: Readonly<Record<string, readonly Route[]>>): Promise<Arena> {
  const arena = await openArena({ plugins: [GUARD], api: { enabled: false } });
  const probes = [makeRoute({ paths: ['~/probe-\\d+'], stripPath: false })];
  const made = Object.entries({ ...apis, probes }).map(([name, routes]) =>
    makeApi({ name, routes, upstream: arena.origin.url, retries: { attempts: 0 } }),
  );
  await arena.gateway.apply(putAll({ apis: made }));
  return arena;
}

describe('which route a request is for', () => {
  let arena: Arena | undefined;

  afterEach(async () => {
    await arena?.close();
    arena = undefined;
  });

  // Routers that change their ways with the number of routes have let spellings through above a bound: CVE-2026-27588.
  for (const count of [1, 99, 101, 10_000]) {
    it(`does not depend on how path and host are spelt, among ${count} others`, async () => {
      const others = Array.from({ length: count }, (_, at): [string, Route[]] => [
        `other-${at}`,
        [makeRoute({ hosts: [`h${at}.example`], paths: [`/p${at}`] })],
      ]);
      const guarded = [
        makeRoute({ paths: ['/admin'], stripPath: false }),
        makeRoute({ hosts: ['secret.example'], paths: ['/'], stripPath: false }),
      ];
      const open = [makeRoute({ paths: ['/'], stripPath: false })];
      arena = await openGuarded({ ...Object.fromEntries(others), open, guarded });

      for (const spelling of SPELLINGS) {
        const { statuses, bytes } = await arena.attack(get(spelling));
        assert.ok(statuses[0] === 403 || statuses[0] === 400, `${spelling}: ${statuses}`);
        assert.equal(bytes, '');
      }
      for (const host of HOSTS) {
        const { statuses } = await arena.attack(get('/x', host));
        assert.equal(statuses[0], 403, host);
      }
    }).timeout(60_000);
  }

  describe('when it lets through what says that it is public', () => {
    const asked = (target: string, ...lines: readonly string[]): readonly [string, readonly string[]] => [
      target,
      lines,
    ];
    const QUERIES = [
      ...['mode=public&mode=admin', 'mode=admin&mode=public', 'mode=public&%6dode=admin', 'mode=public&mode'],
      ...['mode=public;mode=admin', 'mode[]=public', 'Mode=public', 'mode=PUBLIC', 'mode=public%00', 'mode=public%20'],
      ...['mode=public,admin', 'x=mode=public', '?mode=public', '', 'mode=', 'mode=pub%6Cic%26mode=admin'],
    ];
    const LINES = [
      ['X-Mode: public', 'X-Mode: admin'],
      ['X-Mode: admin', 'x-mode: public'],
      ['X-Mode: public, admin'],
      ['X-Mode: PUBLIC'],
      ['X_Mode: public'],
      ['X-Mode:'],
      [],
    ];

    async function openPublic(): Promise<Arena> {
      const fields = { paths: ['/'], stripPath: false };
      return openGuarded({
        query: [makeRoute({ ...fields, query: { mode: ['public'] } })],
        header: [makeRoute({ ...fields, headers: { 'x-mode': ['public'] } })],
        guarded: [makeRoute(fields)],
      });
    }

    it('wants every value of a query parameter or header to say so', async () => {
      arena = await openPublic();
      const attacks = [...QUERIES.map((query) => asked(`/?${query}`)), ...LINES.map((lines) => asked('/', ...lines))];

      for (const [target, lines] of attacks) {
        const { statuses, bytes } = await arena.attack(get(target, 'h', lines));

        assert.equal(statuses[0], 403, `${target} ${lines}`);
        assert.equal(bytes, '');
      }
    });

    it('takes it said twice, or encoded, for what it says', async () => {
      arena = await openPublic();

      for (const [target, lines] of [
        asked('/?mode=public'),
        asked('/?mode=public&mode=public'),
        asked('/?%6dode=pub%6Cic&x=1'),
        asked('/', 'X-MODE: public'),
      ]) {
        const { statuses } = await arena.attack(get(target, 'h', lines));

        assert.equal(statuses[0], 200, `${target} ${lines}`);
      }
    });
  });

  it('takes configured names, values and paths literally, whatever they look like', async () => {
    const odd = [
      '.*',
      '^.*$',
      '(a|b)',
      'a+',
      '[a-z]',
      '`) || true || (`',
      '$(a)',
      '{{a}}',
      "a' OR '1'='1",
      'a"b',
      '\\w',
    ];
    const fields = { paths: ['/'], stripPath: false };
    arena = await openGuarded({
      query: [makeRoute({ ...fields, query: { 'm.de': odd } })],
      header: [makeRoute({ ...fields, headers: { 'x.mode': odd } })],
      path: [makeRoute({ paths: ['/a.c', '/a+', '=/(x|y)'], stripPath: false })],
      guarded: [makeRoute(fields)],
    });

    const misses = [get('/?m.de=a'), get('/?mode=.*'), get('/?m.de=b'), get('/abc'), get('/aa'), get('/x')];
    for (const bytes of [...misses, get('/', 'h', ['x.mode: a']), get('/', 'h', ['xxmode: .*'])]) {
      assert.equal((await arena.attack(bytes)).statuses[0], 403, bytes);
    }
    const hits = [
      ...odd.map((value) => get(`/?m.de=${encodeURIComponent(value)}`)),
      get('/a.c'),
      get('/a+'),
      get('/(x|y)'),
    ];
    for (const bytes of [...hits, ...odd.map((value) => get('/', 'h', [`x.mode: ${value}`]))]) {
      assert.equal((await arena.attack(bytes)).statuses[0], 200, bytes);
    }
  });
});
