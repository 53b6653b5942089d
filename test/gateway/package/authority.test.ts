// Root and index: whose signature counts, what is too old, and what expiry means.
import assert from 'node:assert/strict';
import { addSignature, type Envelope, signEnvelope } from '../../../gateway/package/dsse.ts';
import { generateKeys, type KeyPair, toKeyEntry } from '../../../gateway/package/keys.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import {
  openIndex,
  openRoot,
  type PluginIndex,
  type Root,
  signIndex,
  signRoot,
} from '../../../gateway/package/trust.ts';
import { makeMarket, NOW, sampleIndex, samplePackage } from '../../support/market/packages.ts';

const MARKET = makeMarket();
const INDEX = sampleIndex(MARKET, [openPackage(samplePackage())]);
const NOW_MS = Date.parse(NOW);
const ROOT_TYPE = 'application/vnd.sallyport.root.v1+json';
const INDEX_TYPE = 'application/vnd.sallyport.index.v1+json';

const pin = (...pairs: readonly KeyPair[]): ReadonlyMap<string, KeyPair['publicKey']> =>
  new Map(pairs.map(({ keyid, publicKey }) => [keyid, publicKey]));
const signJson = (type: string, value: unknown, { privateKey }: KeyPair): Envelope =>
  signEnvelope(type, Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)), privateKey);

describe('openRoot', () => {
  it('opens a root that the pinned key signed', () => {
    assert.deepEqual(openRoot(MARKET.rootEnvelope, MARKET.pinnedKeys), MARKET.root);
  });

  it('opens an expired root: the index says so', () => {
    const expired = signRoot({ ...MARKET.root, expires: '2020-01-01T00:00:00Z' }, MARKET.rootKeys.privateKey);

    assert.equal(openRoot(expired, MARKET.pinnedKeys).expires, '2020-01-01T00:00:00Z');
  });

  it('refuses a root that somebody else signed', () => {
    for (const key of [generateKeys(), MARKET.indexKeys, MARKET.platformKeys]) {
      const envelope = signRoot(MARKET.root, key.privateKey);

      assert.throws(() => openRoot(envelope, MARKET.pinnedKeys), { name: 'PackageError', code: 'ROOT_UNTRUSTED' });
    }
  });

  it('refuses every root where no key is pinned', () => {
    assert.throws(() => openRoot(MARKET.rootEnvelope, new Map()), { code: 'ROOT_UNTRUSTED' });
  });

  it('refuses a root under the id of the pinned key by another one', () => {
    const forged = signRoot(MARKET.root, generateKeys().privateKey);
    const signatures = forged.signatures.map((one) => ({ ...one, keyid: MARKET.rootKeys.keyid }));

    assert.throws(() => openRoot({ ...forged, signatures }, MARKET.pinnedKeys), { code: 'ROOT_UNTRUSTED' });
  });

  const three = [generateKeys(), generateKeys(), generateKeys()] as const;
  const signBy = (pairs: readonly KeyPair[]): Envelope => {
    const [first = generateKeys(), ...others] = pairs;
    const envelope = signRoot(MARKET.root, first.privateKey);
    return others.reduce((signed, { privateKey }) => addSignature(signed, privateKey), envelope);
  };
  const quorums: readonly (readonly [number, number, boolean])[] = [
    [1, 1, true],
    [2, 1, false],
    [2, 2, true],
    [3, 1, false],
    [3, 2, true],
    [3, 3, true],
  ];
  for (const [pinned, signed, isEnough] of quorums) {
    it(`${isEnough ? 'opens' : 'refuses'} a root that ${signed} of ${pinned} pinned keys signed`, () => {
      const open = (): Root => openRoot(signBy(three.slice(0, signed)), pin(...three.slice(0, pinned)));

      if (isEnough) assert.equal(open().version, 3);
      else assert.throws(open, { code: 'ROOT_UNTRUSTED' });
    });
  }

  it('does not count one key twice', () => {
    const envelope = signBy(three.slice(0, 1));
    const signatures = [...envelope.signatures, ...envelope.signatures.map((one) => ({ ...one, keyid: '' }))];

    assert.throws(() => openRoot({ ...envelope, signatures }, pin(...three)), { code: 'ROOT_UNTRUSTED' });
  });

  it('refuses a lower version than was seen before', () => {
    assert.equal(openRoot(MARKET.rootEnvelope, MARKET.pinnedKeys, { minVersion: 3 }).version, 3);
    assert.throws(() => openRoot(MARKET.rootEnvelope, MARKET.pinnedKeys, { minVersion: 4 }), { code: 'ROOT_OUTDATED' });
  });

  const entry = toKeyEntry(generateKeys().publicKey);
  const bad: Readonly<Record<string, unknown>> = {
    'no object': [],
    'no index keys': { ...MARKET.root, indexKeys: [] },
    'a key under the id of another': { ...MARKET.root, indexKeys: [{ ...entry, keyid: MARKET.rootKeys.keyid }] },
    'a key that is none': { ...MARKET.root, platformKeys: [{ ...entry, publicKey: 'AAAA' }] },
    'a version of nought': { ...MARKET.root, version: 0 },
    'a version beyond whole numbers': { ...MARKET.root, version: 1e300 },
    'a day that does not exist': { ...MARKET.root, expires: '2026-13-40T00:00:00Z' },
    'no expiry': { ...MARKET.root, expires: undefined },
    'a field that nobody knows': { ...MARKET.root, threshold: 0 },
    'a field twice': '{"version":3,"version":4}',
  };
  for (const [what, value] of Object.entries(bad)) {
    it(`refuses a signed root with ${what}`, () => {
      const envelope = signJson(ROOT_TYPE, value, MARKET.rootKeys);

      assert.throws(
        () => openRoot(envelope, MARKET.pinnedKeys),
        (error: { code?: string }) => error.code === 'ROOT_INVALID' || error.code === 'KEY_INVALID',
      );
    });
  }

  it('does not take an index for a root, whoever signed it', () => {
    const envelope = signJson(INDEX_TYPE, MARKET.root, MARKET.rootKeys);

    assert.throws(() => openRoot(envelope, MARKET.pinnedKeys), { code: 'ENVELOPE_INVALID' });
  });
});

describe('openIndex', () => {
  const root = openRoot(MARKET.rootEnvelope, MARKET.pinnedKeys);
  const envelope = signIndex(INDEX, MARKET.indexKeys.privateKey);
  const open = (one: Envelope, options: { minVersion?: number; nowMs?: number } = {}): ReturnType<typeof openIndex> =>
    openIndex(one, root, { minVersion: 1, nowMs: NOW_MS, ...options });

  it('opens an index that an index key signed, with the root beside it', () => {
    assert.deepEqual(open(envelope), { index: { ...INDEX, root }, isExpired: false });
  });

  it('opens an index of the version that was seen last, and refuses a lower one', () => {
    assert.equal(open(envelope, { minVersion: 7 }).index.version, 7);
    assert.throws(() => open(envelope, { minVersion: 8 }), { name: 'PackageError', code: 'INDEX_OUTDATED' });
  });

  it('says that an index has expired, and opens it still', () => {
    const atMs = Date.parse(INDEX.expires);

    assert.equal(open(envelope, { nowMs: atMs - 1 }).isExpired, false);
    assert.equal(open(envelope, { nowMs: atMs }).isExpired, true);
  });

  it('says that an index has expired when its root has', () => {
    const old = openRoot(signRoot({ ...root, expires: NOW }, MARKET.rootKeys.privateKey), MARKET.pinnedKeys);

    assert.equal(openIndex(envelope, old, { minVersion: 1, nowMs: NOW_MS }).isExpired, true);
  });

  it('refuses an index by anybody else, the root and publishers included', () => {
    for (const key of [generateKeys(), MARKET.rootKeys, MARKET.publisherKeys, MARKET.platformKeys]) {
      assert.throws(() => open(signIndex(INDEX, key.privateKey)), { code: 'INDEX_UNTRUSTED' });
    }
  });

  it('refuses an index by a key that the root no longer lists', () => {
    const rotated = { ...root, version: 4, indexKeys: [toKeyEntry(generateKeys().publicKey)] };

    assert.throws(() => openIndex(envelope, rotated, { minVersion: 1, nowMs: NOW_MS }), { code: 'INDEX_UNTRUSTED' });
  });

  it('refuses an index without signatures', () => {
    assert.throws(() => open({ ...envelope, signatures: [] }), { code: 'INDEX_UNTRUSTED' });
  });

  const change = (changes: object): PluginIndex => ({ ...INDEX, ...changes });
  const listed = { sha256: 'a'.repeat(64), state: 'approved' };
  const bad: Readonly<Record<string, unknown>> = {
    'no object': 'null',
    'a state that nobody knows': change({ plugins: { 'acme/hello': { '1.0.0': { ...listed, state: 'fine' } } } }),
    'a digest in upper case': change({ plugins: { 'acme/hello': { '1.0.0': { ...listed, sha256: 'A'.repeat(64) } } } }),
    'a plugin without namespace': change({ plugins: { hello: { '1.0.0': listed } } }),
    'a version that is a range': change({ plugins: { 'acme/hello': { latest: listed } } }),
    'a name of the language': JSON.stringify(INDEX).replace('"acme/hello"', '"__proto__"'),
    'a level beyond the highest': change({ publishers: { acme: { keys: [], level: 9 } } }),
    'a day that does not exist': change({ expires: '2026-02-31T25:00:00Z' }),
    'a plugin twice': JSON.stringify(INDEX).replace('"plugins":{', '"plugins":{"acme/hello":{},'),
  };
  for (const [what, value] of Object.entries(bad)) {
    it(`refuses a signed index with ${what}`, () => {
      assert.throws(() => open(signJson(INDEX_TYPE, value, MARKET.indexKeys)), { code: 'INDEX_INVALID' });
    });
  }

  it('does not sign what it would not open', () => {
    const broken = { ...INDEX, version: 0 };

    assert.throws(() => signIndex(broken, MARKET.indexKeys.privateKey), { code: 'INDEX_INVALID' });
    assert.throws(() => signRoot({ ...root, indexKeys: [] }, MARKET.rootKeys.privateKey), { code: 'ROOT_INVALID' });
  });
});
