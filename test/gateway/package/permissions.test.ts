// What goes beyond a grant, and when two sets of permissions are the same.
import assert from 'node:assert/strict';
import { readManifest } from '../../../gateway/core/config.ts';
import type { Permissions } from '../../../gateway/core/manifest.ts';
import { comparePermissions, hashPermissions } from '../../../gateway/package/permissions.ts';
import { createRandom, type Random } from '../../fuzz/random.ts';
import { sampleManifest } from '../../support/market/packages.ts';

const net = (...hosts: readonly string[]): Permissions => ({
  net: hosts.map((host) => ({ host, reason: `For ${host}.` })),
});
const EVERYTHING: Permissions = {
  request: { headers: 'write', path: 'write', query: 'write', body: 'write' },
  response: { headers: 'write', path: 'write', query: 'write', body: 'write' },
  respond: true,
  identify: true,
  consumers: 'read',
  limits: true,
  files: ['config.path'],
  net: [{ host: '*', reason: 'All.' }],
  secrets: ['KEY'],
  kv: { maxBytes: 1_000 },
};

function drawPermissions(random: Random): Permissions {
  const draw = (items: readonly string[]): string[] => items.filter(() => random.chance(0.5));
  const fields = ['*', 'x-*', 'x-acme-*', 'x-acme-id'];
  const hosts = ['*', '*.example', 'a.example', 'a.example:443', '*.example:443'];
  return {
    request: {
      headers: random.chance(0.5)
        ? random.pick(['none', 'read', 'write'] as const)
        : { read: draw(fields), write: draw(fields) },
    },
    net: draw(hosts).map((host) => ({ host, reason: 'Chance.' })),
    ...(random.chance(0.3) && { kv: { maxBytes: 1 + random.below(3) } }),
  };
}

describe('comparePermissions', () => {
  const within: readonly (readonly [Permissions, Permissions])[] = [
    [{}, {}],
    [EVERYTHING, EVERYTHING],
    [EVERYTHING, {}],
    [{}, { request: { headers: 'none', path: 'none' }, respond: false, consumers: 'none', net: [], secrets: [] }],
    [{}, { request: { headers: { read: [], write: [] } } }],
    [{ request: { headers: 'write' } }, { request: { headers: 'read' } }],
    [{ request: { headers: 'read' } }, { request: { headers: { read: ['*'] } } }],
    [{ request: { headers: { read: ['x-acme-*'] } } }, { request: { headers: { read: ['x-acme-id'] } } }],
    [{ request: { headers: { write: ['x-id'] } } }, { request: { headers: { read: ['x-id'], write: ['x-id'] } } }],
    [net('*.example'), net('a.example', 'b.example:443')],
    [net('a.example', 'b.example'), net('b.example', 'a.example')],
    [{ secrets: ['A', 'B'] }, { secrets: ['B'] }],
    [{ kv: { maxBytes: 10 } }, { kv: { maxBytes: 10 } }],
    [{ kv: { maxBytes: 10 } }, {}],
  ];
  for (const [granted, wanted] of within) {
    it(`finds ${JSON.stringify(wanted)} within ${JSON.stringify(granted)}`, () => {
      assert.deepEqual(comparePermissions(granted, wanted), []);
    });
  }

  const beyond: readonly (readonly [Permissions, Permissions, ...string[]])[] = [
    [{}, { request: { headers: 'read' } }, '/request/headers'],
    [{ response: { headers: 'write' } }, { request: { headers: 'read' } }, '/request/headers'],
    [{ request: { headers: 'read' } }, { request: { headers: 'write' } }, '/request/headers'],
    [{ request: { headers: { read: ['x-acme-*'] } } }, { request: { headers: 'read' } }, '/request/headers'],
    [{ request: { headers: { read: ['*'] } } }, { request: { headers: { write: ['x-id'] } } }, '/request/headers'],
    [{ request: { headers: { read: ['x-a'] } } }, { request: { headers: { read: ['x-a*'] } } }, '/request/headers'],
    [{ request: { path: 'read' } }, { request: { path: 'write' } }, '/request/path'],
    [{}, { request: { query: 'read' } }, '/request/query'],
    [
      { request: { body: 'read' } },
      { request: { body: 'write' }, response: { body: 'read' } },
      '/request/body',
      '/response/body',
    ],
    [{}, { respond: true, identify: true, limits: true }, '/respond', '/identify', '/limits'],
    [{}, { consumers: 'read' }, '/consumers'],
    [{ files: ['config.a'] }, { files: ['config.a', 'config.b'] }, '/files/1'],
    [net('a.example:443'), net('a.example'), '/net/0'],
    [net('*.example'), net('a.example', 'example', '*'), '/net/1', '/net/2'],
    [{ secrets: ['A'] }, { secrets: ['A', 'B'] }, '/secrets/1'],
    [{}, { kv: { maxBytes: 1 } }, '/kv/maxBytes'],
    [{ kv: { maxBytes: 10 } }, { kv: { maxBytes: 11 } }, '/kv/maxBytes'],
  ];
  for (const [granted, wanted, ...pointers] of beyond) {
    it(`finds ${JSON.stringify(wanted)} beyond ${JSON.stringify(granted)}`, () => {
      assert.deepEqual(
        comparePermissions(granted, wanted)
          .map(({ pointer }) => pointer)
          .toSorted(),
        pointers.toSorted(),
      );
    });
  }

  it('orders permissions: what is within something within a grant is within the grant', () => {
    const random = createRandom(4);
    let chains = 0;
    for (let round = 0; round < 20_000; round += 1) {
      const [a, b, c] = [drawPermissions(random), drawPermissions(random), drawPermissions(random)];
      assert.deepEqual(comparePermissions(a, a), []);
      if (comparePermissions(a, b).length > 0 || comparePermissions(b, c).length > 0) continue;
      chains += 1;

      assert.deepEqual(comparePermissions(a, c), [], JSON.stringify([a, b, c]));
    }
    assert.ok(chains > 100, `${chains} chains were drawn`);
  });

  it('says what is granted and what is wanted', () => {
    assert.deepEqual(comparePermissions({ secrets: ['A'] }, { secrets: ['B'], respond: true }), [
      { pointer: '/respond', granted: false, wanted: true },
      { pointer: '/secrets/0', granted: ['A'], wanted: 'B' },
    ]);
  });

  it('notices each permission that there is', () => {
    const gaps = comparePermissions({}, EVERYTHING).map(({ pointer }) => pointer.split('/')[1]);

    assert.deepEqual([...new Set(gaps)].toSorted(), Object.keys(EVERYTHING).toSorted());
  });
});

describe('hashPermissions', () => {
  it('is the same whatever the order of keys and lists', () => {
    const one: Permissions = {
      respond: true,
      request: { path: 'read', headers: { read: ['a', 'b'] } },
      secrets: ['A', 'B'],
    };
    const other: Permissions = {
      secrets: ['B', 'A'],
      request: { headers: { read: ['b', 'a'] }, path: 'read' },
      respond: true,
    };

    assert.equal(hashPermissions(one), hashPermissions(other));
  });

  it('is the same with and without defaults, so that a later gateway may fill in more of them', () => {
    const { permissions } = readManifest({ ...sampleManifest(), permissions: {} });

    assert.ok(Object.keys(permissions).length > 0, 'reading fills in defaults');
    assert.equal(hashPermissions(permissions), hashPermissions({}));
    assert.equal(
      hashPermissions({ request: { headers: 'none' }, kv: { maxBytes: 5 } }),
      hashPermissions({ kv: { maxBytes: 5 } }),
    );
  });

  it('is known: others can compute it', () => {
    // printf '{}' | sha256sum; printf '{"request":{"headers":"read"},"respond":true}' | sha256sum
    assert.equal(hashPermissions({}), '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
    assert.equal(
      hashPermissions({ respond: true, request: { headers: 'read', body: 'none' } }),
      'f9ff5e1aa1b62e54b416b4c557d222874147353737c471913ec0fd420da44b15',
    );
  });

  it('differs whenever one set goes beyond the other', () => {
    for (const key of Object.keys(EVERYTHING) as (keyof Permissions)[]) {
      const { [key]: _, ...less } = EVERYTHING;

      assert.notEqual(hashPermissions(less), hashPermissions(EVERYTHING), key);
    }
  });

  it('does not take a reason for a default', () => {
    const why = (reason: string): Permissions => ({ net: [{ host: 'a.example', reason }] });

    assert.notEqual(hashPermissions(why('none')), hashPermissions(why('x')));
  });
});
