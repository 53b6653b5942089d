// Hostile bodies for every route that takes one: always 4xx problem+json, never 5xx, nothing written.
import assert from 'node:assert/strict';
import { ROUTES } from '../../admin/routes/table.ts';
import { makeCertificate } from '../support/wire/certificates.ts';
import { type Reply, startTestAdmin, type TestAdmin } from './support.ts';

const BODIES_PER_RESOURCE = 1000;
const PARALLEL = 8;
const CERTIFICATE = makeCertificate({ name: 'fuzz', hosts: ['fuzz.example'] });
const ID = '00000000-0000-4000-8000-000000000000';

/** Is a good body of each resource; each fuzzed body is one of these, broken in one place. */
const SEEDS: Readonly<Record<string, { readonly path: string; readonly body: object }>> = {
  apis: {
    path: '/v1/apis',
    body: {
      name: 'fuzz',
      upstream: 'http://127.0.0.1:9000',
      routes: [
        { name: 'r', hosts: ['a.example'], paths: ['/x'], methods: ['GET'], headers: { a: ['b'] }, stripPath: true },
      ],
      timeouts: { connectMs: 1 },
      tags: ['t'],
    },
  },
  routes: { path: '/v1/apis/seed/routes', body: { name: 'r', paths: ['/x'], query: { a: ['b'] } } },
  upstreams: {
    path: '/v1/upstreams',
    body: {
      name: 'fuzz',
      targets: [{ host: '127.0.0.1', port: 9000, weight: 1 }],
      healthChecks: { active: { path: '/' }, passive: { failures: 1 } },
    },
  },
  certificates: {
    path: '/v1/certificates',
    body: { name: 'fuzz', hosts: ['fuzz.example'], certificate: CERTIFICATE.chain, privateKey: CERTIFICATE.privateKey },
  },
  consumers: { path: '/v1/consumers', body: { username: 'fuzz', customId: 'c', groups: ['g'], tags: ['t'] } },
  credentials: {
    path: '/v1/consumers/seed/credentials',
    body: { type: 'jwt', key: 'iss', algorithm: 'HS256', secret: 'x'.repeat(40), tags: ['t'] },
  },
  bindings: {
    path: '/v1/bindings',
    body: {
      plugin: 'key-auth',
      scope: { api: 'seed' },
      config: { keyNames: ['k'] },
      when: { methods: ['GET'] },
      order: 1,
    },
  },
  publishers: {
    path: '/v1/marketplace/publishers',
    body: { namespace: 'fuzz', title: 'Fuzz', level: 1, keys: ['key'] },
  },
  publications: {
    path: '/v1/marketplace/plugins',
    body: {
      package: 'H4sIAAAAAAAC/w==',
      envelope: { payloadType: 't', payload: 'e30=', signatures: [{ keyid: 'a', sig: 'AAAA' }] },
    },
  },
  bundles: {
    path: '/v1/marketplace/bundle',
    body: {
      bundle: {
        contents: { payloadType: 't', payload: 'e30=', signatures: [{ keyid: 'a', sig: 'AAAA' }] },
        packages: [{ sha256: 'a'.repeat(64), bytes: 'AAAA' }],
      },
    },
  },
  tokens: { path: '/v1/tokens', body: { name: 'fuzz', role: 'viewer' } },
  explain: { path: '/v1/explain', body: { method: 'GET', host: 'h', path: '/', headers: { a: 'b' } } },
  config: {
    path: '/v1/config',
    body: {
      apis: [{ name: 'fuzz', upstream: 'http://h' }],
      consumers: [{ username: 'u', credentials: [{ type: 'key-auth', key: 'k' }] }],
    },
  },
};

/** Makes the same numbers in every run. */
function createRandom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % bound;
  };
}

type Random = (bound: number) => number;

/** Places what `literal` says, as raw JSON text, where one value of the seed was. */
function breakOneValue(seed: object, random: Random, literal: string): string {
  const marker = '"@@here@@"';
  const copy = structuredClone(seed) as Record<string, unknown>;
  let place: Record<string, unknown> = copy;
  for (;;) {
    const keys = Object.keys(place);
    const key = keys[random(keys.length)] ?? '';
    const inner = place[key];
    if (typeof inner !== 'object' || inner === null || Object.keys(inner).length === 0 || random(3) === 0) {
      place[key] = '@@here@@';
      return JSON.stringify(copy).replace(marker, () => literal);
    }
    place = inner as Record<string, unknown>;
  }
}

/** Adds a member, as raw JSON text, to the outermost object. */
function addMember(seed: object, member: string): string {
  return JSON.stringify(seed).replace('{', () => `{${member},`);
}

// Each makes a body that no resource may take.
const ATTACKS: readonly ((seed: object, random: Random) => string)[] = [
  (seed, random) => breakOneValue(seed, random, '1e999'),
  (seed, random) => breakOneValue(seed, random, '[[[[[[[[{"a":1}]]]]]]]]'),
  (seed, random) => breakOneValue(seed, random, `{"unknown${random(1000)}":{"x":[]}}`),
  (seed, random) => breakOneValue(seed, random, '"\\u0000"'),
  (seed, random) => breakOneValue(seed, random, '"\\ud800"'),
  (seed, random) => breakOneValue(seed, random, '-12345678901234567890'),
  (seed, random) => breakOneValue(seed, random, '{"__proto__":{"isAdmin":true}}'),
  (seed, random) => breakOneValue(seed, random, `${'['.repeat(65 + random(5000))}`),
  (seed, random) => breakOneValue(seed, random, '0.5'),
  (seed) => addMember(seed, '"__proto__":{"role":"owner"}'),
  (seed) => addMember(seed, '"constructor":{"prototype":{}}'),
  (seed, random) => addMember(seed, `"x${random(1000)}":null`),
  (seed) => addMember(seed, `"${Object.keys(seed)[0]}":null`),
  (_seed, random) => `${'{"a":'.repeat(100 + random(20_000))}1`,
  (seed, random) => JSON.stringify(seed).slice(0, 1 + random(JSON.stringify(seed).length - 2)),
  (seed) => `\ufeff${JSON.stringify(seed)}`,
  (seed) => `${JSON.stringify(seed)}x`,
  (seed) => `[${JSON.stringify(seed)}]`,
  (_seed, random) => ['null', 'true', '7', '"text"', '[]', '', ' ', '{}x', '{"":1}', 'NaN'][random(10)] ?? '',
  (seed, random) => addMember(seed, `"tags":[${Array.from({ length: 51 + random(500) }, (_, i) => `"t${i}"`).join()}]`),
];

describe('admin under hostile bodies', () => {
  let admin: TestAdmin;
  let revision = 0;

  before(async () => {
    admin = await startTestAdmin();
    await admin.expect(201, 'PUT', '/v1/apis/seed', { body: { upstream: 'http://127.0.0.1:9000' } });
    await admin.expect(201, 'PUT', '/v1/consumers/seed', { body: {} });
    revision = await admin.revision();
  });

  after(async () => {
    await admin.close();
  });

  function assertRefused(reply: Reply, what: string): void {
    assert.ok(reply.status >= 400 && reply.status < 500, `${reply.status} for ${what}: ${reply.text.slice(0, 500)}`);
    assert.equal(reply.headers.get('content-type'), 'application/problem+json', what);
    assert.equal(typeof reply.body['code'], 'string', what);
  }

  for (const [resource, { path, body }] of Object.entries(SEEDS)) {
    it(`refuses ${BODIES_PER_RESOURCE} bodies for ${resource}, and writes nothing`, async function () {
      this.timeout(60_000);
      const random = createRandom(20_261_122);
      const method = resource === 'config' ? 'PUT' : 'POST';
      const bodies = Array.from({ length: BODIES_PER_RESOURCE }, (_, index) => {
        const attack = ATTACKS[index % ATTACKS.length];
        return attack?.(body, random) ?? '';
      });

      const next = bodies.values();
      const work = async (): Promise<void> => {
        for (const text of next) {
          const reply = await admin.call(method, path, { body: text });
          // A body that lost only optional parts may still be a good question.
          if (resource === 'explain' && reply.status === 200) continue;
          assertRefused(reply, text.slice(0, 300));
        }
      };
      await Promise.all(Array.from({ length: PARALLEL }, work));

      assert.equal(await admin.revision(), revision);
      const tokens = await admin.expect(200, 'GET', '/v1/tokens');
      assert.equal((tokens.body['data'] as unknown[]).length, 1);
    });
  }

  it('refuses 10 MB on every route that takes a body, and stays responsive', async function () {
    this.timeout(60_000);
    const big = `{"name":"${'x'.repeat(10_000_000)}"}`;
    const routes = ROUTES.filter((route) => route.body !== undefined);

    for (const route of routes) {
      const path = route.path.replace(/:(api|consumer)/g, 'seed').replace(/:\w+/g, ID);
      const [reply, probe] = await Promise.all([
        admin.call(route.method, path, { body: big }),
        admin.call('GET', '/livez'),
      ]);
      assertRefused(reply, `${route.method} ${path}`);
      const isTaken = route.body === 'config' || route.body === 'bundle';
      assert.equal(reply.status, isTaken ? 422 : 413);
      assert.equal(probe.status, 200);
    }
    assert.equal(await admin.revision(), revision);
  });

  it('refuses the wrong media type, a compressed body, an unknown query and a body where none is taken', async () => {
    const body = JSON.stringify(SEEDS['apis']?.body);
    const types = [
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=latin1',
      'application/jsonx',
    ];

    for (const type of types) await admin.expect(415, 'POST', '/v1/apis', { body, headers: { 'content-type': type } });
    await admin.expect(415, 'POST', '/v1/apis', { body, headers: { 'content-encoding': 'gzip' } });
    await admin.expect(415, 'POST', '/v1/apis', { body, headers: { 'content-type': 'application/yaml' } });
    await admin.expect(400, 'POST', '/v1/revisions/1/rollback', { body: {} });
    for (const query of [
      '?dryrun=true',
      '?dryRun=yes',
      '?dryRun=true&dryRun=true',
      '?wait=now',
      '?__proto__=1',
      '?%',
    ]) {
      await admin.expect(400, 'POST', `/v1/apis${query}`, { body });
    }
    assert.equal(await admin.revision(), revision);
  });

  it('refuses line ends, and characters that become one as bytes, in everything that goes onto the wire', async () => {
    const upstream = 'http://127.0.0.1:9000';
    const route = { paths: ['/'] };

    for (const end of ['\r\nX-Evil: 1', '\n', '\r', '\0', '\u010a', '\u560d']) {
      const bodies: readonly (readonly [string, object])[] = [
        ['/v1/apis', { name: 'x', upstream: `${upstream}/a${end}` }],
        // Of other letters a URL makes Punycode.
        ['/v1/apis', { name: 'x', upstream: `http://h${end < '\u0080' ? end : '\n'}/` }],
        ['/v1/apis', { name: `x${end}`, upstream }],
        ['/v1/apis', { name: 'x', upstream, routes: [{ ...route, hosts: [`h${end}.example`] }] }],
        ['/v1/apis', { name: 'x', upstream, routes: [{ ...route, methods: [`GET${end}`] }] }],
        ['/v1/upstreams', { name: 'x', targets: [{ host: `h${end}`, port: 80 }] }],
        ['/v1/upstreams', { name: 'x', protocol: 'https', targets: [], tls: { serverName: `h${end}` } }],
        [
          '/v1/upstreams',
          { name: 'x', targets: [], healthChecks: { active: { path: `/${end}`, intervalMs: 1_000, timeoutMs: 500 } } },
        ],
        ['/v1/bindings', { plugin: 'cors', config: { origins: [`http://h${end}`] } }],
        ['/v1/bindings', { plugin: 'correlation-id', config: { headerName: `x${end}` } }],
        ['/v1/bindings', { plugin: 'request-transformer', config: { add: { headers: { 'x-a': `a${end}` } } } }],
        ['/v1/bindings', { plugin: 'request-transformer', config: { add: { headers: { [`x${end}`]: 'a' } } } }],
      ];
      for (const [path, body] of bodies) {
        assertRefused(await admin.call('POST', path, { body }), `${path} ${JSON.stringify(body)}`);
      }
    }

    assert.equal(await admin.revision(), revision);
  });

  it('takes hostile names in paths, cursors and filters for what they are', async () => {
    const names = [
      '__proto__',
      'constructor',
      'toString',
      '%00',
      '%ff',
      '%zz',
      '..%2f..',
      'x'.repeat(5000),
      "'%3b--",
      '{{7*7}}',
    ];

    for (const name of names) {
      for (const path of ['apis', 'upstreams', 'consumers', 'bindings', 'plugins', 'tokens', 'revisions']) {
        const reply = await admin.call('GET', `/v1/${path}/${name}`);
        assertRefused(reply, `${path}/${name}`.slice(0, 80));
      }
      const replies = await Promise.all(
        ['cursor', 'search', 'tag'].map((parameter) => admin.call('GET', `/v1/apis?${parameter}=${name}`)),
      );
      const audit = await admin.call('GET', `/v1/audit?actor=${name}`);
      for (const reply of [...replies, audit])
        assert.ok(reply.status < 500, `${reply.status} ${reply.text.slice(0, 200)}`);
    }
  });
});
