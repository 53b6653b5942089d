// Bundles: what travels, what a mirror and another marketplace take in, and what neither takes.
// Must not take a signature on trust: every part of a bundle is broken once.
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BUNDLE_TYPE, type Bundle, buildBundle } from '../../../admin/marketplace/mirror/bundle.ts';
import { CONTRACT_VERSION } from '../../../gateway/core/plugin.ts';
import { addSignature, type Envelope, readPayload, signEnvelope } from '../../../gateway/package/dsse.ts';
import {
  generateKeys,
  readPrivateKey,
  readPublicKeys,
  toKeyEntry,
  writePublicKey,
} from '../../../gateway/package/keys.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import {
  openIndex,
  openRoot,
  signIndex,
  signRoot,
  type TrustedIndex,
  verifyPackage,
} from '../../../gateway/package/trust.ts';
import { makeMarket, NOW, samplePackage, signPackage } from '../../support/packages.ts';
import { type Reply, startTestAdmin, type TestAdmin } from '../support.ts';
import { ofVersion, PLUGINS, startTestMarket, type TestMarket } from './support.ts';

const BUNDLE = '/v1/marketplace/bundle';

interface Contents {
  root: Envelope;
  index: Envelope;
  versions: { plugin: string; version: string; sha256: string; envelope: Envelope }[];
}

describe('a bundle of the marketplace', () => {
  let market: TestMarket;
  let mirror: TestAdmin;
  let mirrorFolder: string;

  beforeEach(async () => {
    market = await startTestMarket();
    await market.approve('1.0.0');
    await market.approve('1.1.0');
    mirrorFolder = await mkdtemp(join(tmpdir(), 'sallyport-mirror-'));
    await copyFile(join(market.folder, 'root.pub'), join(mirrorFolder, 'root.pub'));
    mirror = await startTestAdmin({ marketplaceDir: mirrorFolder });
  });

  afterEach(async () => {
    await market.close();
    await mirror.close();
    await rm(mirrorFolder, { recursive: true, force: true });
  });

  const exportBundle = async (query = ''): Promise<Bundle> =>
    (await market.admin.expect(200, 'GET', `${BUNDLE}${query}`)).body as unknown as Bundle;
  const take = (admin: TestAdmin, status: number, bundle: unknown, more: object = {}): Promise<Reply> =>
    admin.expect(status, 'POST', BUNDLE, { body: { bundle, ...more } });
  const setState = (version: string, state: string): Promise<Reply> =>
    market.admin.expect(200, 'POST', `${PLUGINS}/acme/hello/versions/${version}/state`, {
      body: { state, advisory: 'because' },
    });
  const readIndex = async (admin: TestAdmin, folder: string): Promise<TrustedIndex> => {
    const { body } = await admin.expect(200, 'GET', '/v1/marketplace/index');
    const pinned = readPublicKeys(await readFile(join(folder, 'root.pub'), 'utf8'));
    const root = openRoot(body['root'] as Envelope, pinned);
    return openIndex(body['index'] as Envelope, root, { minVersion: 1, nowMs: Date.now() }).index;
  };
  const judge = async (admin: TestAdmin, index: TrustedIndex, version: string): Promise<boolean> => {
    const { body } = await admin.expect(200, 'GET', `${PLUGINS}/acme/hello/versions/${version}`);
    const granted = (body['manifest'] as { permissions: object }).permissions;
    const verdict = verifyPackage({
      bytes: samplePackage(ofVersion(version)),
      envelope: body['envelope'] as Envelope,
      index,
      policy: { require: ['publisher', 'marketplace'] },
      pinned: { id: 'acme/hello', version, sha256: String(body['sha256']), granted },
      contractVersion: CONTRACT_VERSION,
    });
    return verdict.ok;
  };

  it('makes a mirror of the same root that hands on the index as it is, and that gateways believe', async () => {
    const bundle = await exportBundle();
    const taken = await take(mirror, 200, bundle);
    const again = await take(mirror, 200, bundle);

    const { indexVersion: _version, rootVersion: _root, ...counts } = taken.body;
    assert.deepEqual(counts, { added: 2, changed: 0, isExpired: false });
    assert.deepEqual([again.body['added'], again.body['changed']], [0, 0]);
    const index = await readIndex(mirror, mirrorFolder);
    assert.equal(index.version, (await market.openIndex()).version);
    assert.ok(await judge(mirror, index, '1.0.0'));
    assert.ok(await judge(mirror, index, '1.1.0'));
    const listed = await mirror.expect(200, 'GET', PLUGINS);
    assert.equal((listed.body['data'] as { latestVersion: string }[])[0]?.latestVersion, '1.1.0');
    const publish = await mirror.expect(503, 'POST', '/v1/marketplace/publishers', { body: { namespace: 'other' } });
    assert.equal(publish.body['code'], 'SIGNING_UNAVAILABLE');
  });

  it('carries revocations, and never goes back to an older index', async () => {
    const old = await exportBundle();
    await setState('1.0.0', 'revoked');
    const fresh = await exportBundle();
    await take(mirror, 200, old);
    await take(mirror, 200, fresh);

    const refused = await take(mirror, 422, old);

    assert.equal(refused.body['code'], 'BUNDLE_REFUSED');
    assert.equal(refused.body['reason'], 'INDEX_OUTDATED');
    const index = await readIndex(mirror, mirrorFolder);
    assert.equal(index.plugins['acme/hello']?.['1.0.0']?.state, 'revoked');
    assert.equal(await judge(mirror, index, '1.0.0'), false);
    const shown = await mirror.expect(200, 'GET', `${PLUGINS}/acme/hello/versions/1.0.0`);
    assert.equal(shown.body['state'], 'revoked');
  });

  it('holds one plugin when asked for one, and nothing that cannot be installed', async () => {
    await setState('1.0.0', 'yanked');
    const all = await exportBundle();
    const none = await exportBundle('?plugin=acme/other');

    assert.equal(all.packages.length, 1);
    assert.equal(none.packages.length, 0);
  });

  it('shows in a dry run what it would do, and does not do it', async () => {
    const preview = await mirror.expect(200, 'POST', `${BUNDLE}?dryRun=true`, {
      body: { bundle: await exportBundle() },
    });

    assert.equal(preview.body['added'], 2);
    await mirror.expect(404, 'GET', '/v1/marketplace/index');
  });

  describe('from another marketplace', () => {
    let other: TestAdmin;
    let otherFolder: string;
    let root: string;

    beforeEach(async () => {
      otherFolder = await mkdtemp(join(tmpdir(), 'sallyport-other-'));
      other = await startTestAdmin({ marketplaceDir: otherFolder });
      root = await readFile(join(market.folder, 'root.pub'), 'utf8');
    });

    afterEach(async () => {
      await other.close();
      await rm(otherFolder, { recursive: true, force: true });
    });

    it('is taken in under its named root, and approved by the own index key: gateways trust one root', async () => {
      const bundle = await exportBundle();
      const unnamed = await take(other, 422, bundle);
      const before = await readIndex(other, otherFolder);

      await take(other, 200, bundle, { root });

      assert.equal(unnamed.body['reason'], 'ROOT_UNTRUSTED');
      const index = await readIndex(other, otherFolder);
      assert.ok(index.version > before.version);
      assert.ok(await judge(other, index, '1.0.0'));
    });

    it('never takes back what was decided here, nor an older index of the same origin', async () => {
      const old = await exportBundle();
      await take(other, 200, old, { root });
      await other.expect(200, 'POST', `${PLUGINS}/acme/hello/versions/1.0.0/state`, {
        body: { state: 'revoked', advisory: 'not here' },
      });
      await setState('1.1.0', 'deprecated');
      const fresh = await exportBundle();

      await take(other, 200, fresh, { root });
      const refused = await take(other, 422, old, { root });

      assert.equal(refused.body['reason'], 'INDEX_OUTDATED');
      const entries = (await readIndex(other, otherFolder)).plugins['acme/hello'];
      assert.equal(entries?.['1.0.0']?.state, 'revoked');
      assert.equal(entries?.['1.1.0']?.state, 'deprecated');
    });

    it('takes no namespace of the platform, whatever its own root says of it', async () => {
      const { rootKeys, indexKeys, publisherKeys, root: sample } = makeMarket();
      const bytes = samplePackage({ manifest: { name: 'sallyport/hello' } });
      const pkg = openPackage(bytes);
      const plugins = { 'sallyport/hello': { '1.2.0': { sha256: pkg.sha256, state: 'approved' as const } } };
      const publishers = { sallyport: { keys: [toKeyEntry(publisherKeys.publicKey)], level: 3 as const } };
      const foreign = { ...sample, platformNamespaces: [], platformKeys: [] };
      const index = { version: 7, issuedAt: NOW, expires: sample.expires, publishers, plugins };
      const bundle = buildBundle(
        {
          root: signRoot(foreign, rootKeys.privateKey),
          index: signIndex(index, indexKeys.privateKey),
          versions: [
            {
              plugin: 'sallyport/hello',
              version: '1.2.0',
              sha256: pkg.sha256,
              envelope: signPackage(pkg, publisherKeys, indexKeys),
            },
          ],
        },
        new Map([[pkg.sha256, bytes]]),
        indexKeys.privateKey,
      );

      const refused = await take(other, 422, bundle, { root: writePublicKey(rootKeys.publicKey) });

      assert.match(refused.text, /is the platform's here/);
    });

    it('takes no namespace that somebody has here', async () => {
      await other.expect(201, 'POST', '/v1/marketplace/publishers', { body: { namespace: 'acme' } });

      const refused = await take(other, 422, await exportBundle(), { root });

      assert.match(refused.text, /belongs to somebody else/);
      await other.expect(404, 'GET', `${PLUGINS}/acme/hello`);
    });

    it('cannot be published to from here', async () => {
      await take(other, 200, await exportBundle(), { root });
      const made = await other.expect(201, 'POST', '/v1/tokens', { body: { name: 'acme-ci', role: 'publisher' } });

      const refused = await other.expect(403, 'POST', '/v1/marketplace/publishers/acme/keys', {
        body: { publicKey: root },
        token: String(made.body['token']),
      });

      assert.equal(refused.body['code'], 'NAMESPACE_FOREIGN');
    });

    it('is refused under a root that did not sign it, or one that is no key', async () => {
      const bundle = await exportBundle();
      const stranger = await readFile(join(otherFolder, 'root.pub'), 'utf8');

      await take(other, 422, bundle, { root: stranger });
      const malformed = await take(other, 422, bundle, { root: 'x' });

      assert.equal(malformed.body['code'], 'CONFIG_INVALID');
      await other.expect(404, 'GET', `${PLUGINS}/acme/hello`);
    });
  });

  it('is refused whole when any part of it is not what was signed', async () => {
    const good = await exportBundle();
    const indexKey = readPrivateKey(await readFile(join(market.folder, 'index.key'), 'utf8'));
    const contents = JSON.parse(readPayload(good.contents, BUNDLE_TYPE).toString()) as Contents;
    const [first, second] = contents.versions;
    assert.ok(first && second);
    const resign = (change: Partial<Contents>, key = indexKey): Bundle => ({
      ...good,
      contents: signEnvelope(
        BUNDLE_TYPE,
        Buffer.from(JSON.stringify({ ...contents, type: 'sallyport-bundle/v1', ...change })),
        key,
      ),
    });
    const stranger = generateKeys().privateKey;
    const flip = (envelope: Envelope): Envelope => {
      const text = Buffer.from(envelope.payload, 'base64')
        .toString()
        .replace('approved', 'yanked')
        .replace('1.0.0', '1.0.9');
      return { ...envelope, payload: Buffer.from(text).toString('base64') };
    };
    const evil = samplePackage({ files: { 'README.md': '# evil\n' } }).toString('base64');
    const unlisted = samplePackage(ofVersion('3.0.0'));
    const { sha256 } = openPackage(unlisted);
    const signed = addSignature(signPackage(openPackage(unlisted), market.keys), indexKey);
    const attacks: Readonly<Record<string, unknown>> = {
      'a version that its index does not list': {
        ...resign({ versions: [{ plugin: 'acme/hello', version: '3.0.0', sha256, envelope: signed }] }),
        packages: [{ sha256, bytes: unlisted.toString('base64') }],
      },
      'contents by a stranger': resign({}, stranger),
      'contents without signature': { ...good, contents: { ...good.contents, signatures: [] } },
      'contents of another type': { ...good, contents: signEnvelope('text/plain', Buffer.from('{}'), indexKey) },
      'contents that are no JSON': { ...good, contents: signEnvelope(BUNDLE_TYPE, Buffer.from('{'), indexKey) },
      'contents that are null': { ...good, contents: signEnvelope(BUNDLE_TYPE, Buffer.from('null'), indexKey) },
      'an index that was changed': resign({ index: flip(contents.index) }),
      'an index by a stranger': resign({ index: addSignature({ ...contents.index, signatures: [] }, stranger) }),
      'a root by a stranger': resign({ root: addSignature({ ...contents.root, signatures: [] }, stranger) }),
      'the index in the place of the root': resign({ root: contents.index }),
      'a statement that was changed': resign({ versions: [{ ...first, envelope: flip(first.envelope) }] }),
      'a version under the envelope of another': resign({ versions: [{ ...first, envelope: second.envelope }] }),
      'a version without the approval': resign({
        versions: [{ ...first, envelope: { ...first.envelope, signatures: first.envelope.signatures.slice(0, 1) } }],
      }),
      'a version without its publisher': resign({
        versions: [{ ...first, envelope: { ...first.envelope, signatures: first.envelope.signatures.slice(1) } }],
      }),
      'a version under another name': resign({ versions: [{ ...first, plugin: 'acme/other' }] }),
      'a package that is another': { ...good, packages: good.packages.map((one) => ({ ...one, bytes: evil })) },
      'a package that is no base64': { ...good, packages: good.packages.map((one) => ({ ...one, bytes: '!!!!' })) },
      'a package that is missing': { ...good, packages: [] },
    };

    for (const [what, bundle] of Object.entries(attacks)) {
      const reply = await mirror.call('POST', BUNDLE, { body: { bundle } });
      assert.equal(reply.status, 422, `${what}: ${reply.status} ${reply.text}`);
      assert.equal(reply.body['code'], 'BUNDLE_REFUSED', what);
    }
    await mirror.expect(404, 'GET', '/v1/marketplace/index');
    assert.deepEqual((await mirror.expect(200, 'GET', PLUGINS)).body['data'], []);
    await take(mirror, 200, resign({}));
  });
});
