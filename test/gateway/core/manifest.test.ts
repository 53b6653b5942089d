// What manifests may say, and how far their patterns reach.
import assert from 'node:assert/strict';
import { readManifest } from '../../../gateway/core/config.ts';
import {
  coversHeader,
  coversHost,
  fitsEngine,
  listHeaderPatterns,
  type MessagePermissions,
} from '../../../gateway/core/manifest.ts';

const MANIFEST = {
  name: 'acme/hello',
  version: '1.2.0',
  title: 'Hello',
  summary: 'Greets.',
  stage: 'transform',
  hooks: ['onResponse'],
  scopes: ['global'],
  failPolicy: 'open',
  permissions: {},
  engines: { gateway: '^1.0.0' },
};

describe('readManifest', () => {
  const good: Readonly<Record<string, object>> = {
    'a name without namespace': { name: 'hello' },
    'a name with namespace': { name: 'acme/hello' },
    'what the catalogue shows': {
      license: 'Apache-2.0 OR MIT',
      homepage: 'https://acme.example/hello?a=b#c',
      repository: 'https://git.example/acme/hello',
      categories: ['security'],
      keywords: ['greeting', 'header-field'],
      configVersion: 2,
    },
    'header fields by name': { permissions: { request: { headers: { read: ['*'], write: ['x-acme-*', 'x-id'] } } } },
    'a store with its bound': { permissions: { kv: { maxBytes: 65_536 } } },
    hosts: {
      permissions: {
        net: ['*', 'api.example', 'api.example:8443', '*.acme.example', '127.0.0.1:80', '[::1]:80'].map((host) => ({
          host,
          reason: 'To ask.',
        })),
      },
    },
  };
  for (const [what, changes] of Object.entries(good)) {
    it(`reads ${what}`, () => {
      assert.doesNotThrow(() => readManifest({ ...MANIFEST, ...changes }));
    });
  }

  const bad: Readonly<Record<string, object>> = {
    'a name with two slashes': { name: 'acme/hello/world' },
    'a name that leads out': { name: '../hello' },
    'a namespace of nothing': { name: '/hello' },
    'a name of nothing': { name: 'acme/' },
    'upper case in a name': { name: 'Acme/hello' },
    'a link that runs': { homepage: 'javascript:alert(1)' },
    'a link in clear': { homepage: 'http://acme.example' },
    'a link that closes its attribute': { repository: 'https://acme.example/"onclick=' },
    'a configuration of version nought': { configVersion: 0 },
    'a header field in upper case': { permissions: { request: { headers: { read: ['X-Acme'] } } } },
    'a star in the middle of a field': { permissions: { request: { headers: { read: ['x-*-id'] } } } },
    'an unknown way to touch a field': { permissions: { request: { headers: { delete: ['x-id'] } } } },
    'a store without a bound': { permissions: { kv: {} } },
    'a host with a path': { permissions: { net: [{ host: 'api.example/path', reason: 'To ask.' }] } },
    'a host with a user': { permissions: { net: [{ host: 'a@api.example', reason: 'To ask.' }] } },
    'a star in the middle of a host': { permissions: { net: [{ host: 'api.*.example', reason: 'To ask.' }] } },
    'a secret by a name of the language': { permissions: { secrets: ['__proto__'] } },
    'a permission that nobody knows': { permissions: { root: true } },
  };
  for (const [what, changes] of Object.entries(bad)) {
    it(`refuses ${what}`, () => {
      assert.throws(() => readManifest({ ...MANIFEST, ...changes }), { name: 'ConfigError' });
    });
  }
});

describe('fitsEngine', () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['^1.1.0', '1.1.0', true],
    ['^1.1.0', '1.1.9', true],
    ['^1.1.0', '1.2.0', true],
    ['^1.1.2', '1.1.1', false],
    ['^1.1.2', '1.2.0', true],
    ['^1.2.0', '1.1.9', false],
    ['^1.0.0', '2.0.0', false],
    ['^2.0.0', '1.9.9', false],
  ];
  for (const [range, version, fits] of cases) {
    it(`says that ${version} is ${fits ? '' : 'not '}in ${range}`, () => {
      assert.equal(fitsEngine(range, version), fits);
    });
  }
});

describe('coversHeader', () => {
  const cases: readonly (readonly [readonly string[], string, boolean])[] = [
    [['x-id'], 'x-id', true],
    [['x-id'], 'x-identity', false],
    [['x-acme-*'], 'x-acme-id', true],
    [['x-acme-*'], 'x-acme', false],
    [['x-acme-*'], 'x-acme-id-*', true],
    [['x-acme-*'], 'x-*', false],
    [['*'], 'authorization', true],
    [['a', 'b*'], '*', false],
    [[], 'a', false],
  ];
  for (const [patterns, name, covers] of cases) {
    it(`says that [${patterns}] ${covers ? 'stands' : 'does not stand'} for ${name}`, () => {
      assert.equal(coversHeader(patterns, name), covers);
    });
  }
});

describe('coversHost', () => {
  const cases: readonly (readonly [readonly string[], string, boolean])[] = [
    [['api.example'], 'api.example', true],
    [['api.example'], 'api.example:8443', true],
    [['api.example:8443'], 'api.example:8443', true],
    [['api.example:8443'], 'api.example', false],
    [['api.example:8443'], 'api.example:443', false],
    [['api.example'], 'evil-api.example', false],
    [['*.example'], 'api.example', true],
    [['*.example'], 'a.b.example', true],
    [['*.example'], 'example', false],
    [['*.example'], 'evilexample', false],
    [['*.example'], '*.b.example', true],
    [['*.b.example'], '*.example', false],
    [['*.example:443'], 'api.example:443', true],
    [['*.example:443'], 'api.example', false],
    [['*.example:443'], 'api.example:80', false],
    [['[::1]'], '[::1]:80', true],
    [['*'], 'api.example:1', true],
    [['api.example'], '*', false],
    [[], 'api.example', false],
  ];
  for (const [hosts, host, covers] of cases) {
    it(`says that [${hosts}] ${covers ? 'stands' : 'does not stand'} for ${host}`, () => {
      assert.equal(coversHost(hosts, host), covers);
    });
  }
});

describe('listHeaderPatterns', () => {
  const cases: readonly (readonly [MessagePermissions['headers'], readonly string[], readonly string[]])[] = [
    [undefined, [], []],
    ['none', [], []],
    ['read', ['*'], []],
    ['write', ['*'], ['*']],
    [{ read: ['a'] }, ['a'], []],
    [{ read: ['a'], write: ['b'] }, ['a', 'b'], ['b']],
  ];
  for (const [headers, read, write] of cases) {
    it(`lists ${JSON.stringify(headers) ?? 'nothing'}`, () => {
      assert.deepEqual(listHeaderPatterns(headers), { read, write });
    });
  }
});
