// Another marketplace that takes in what this one published, under a root of its own.
// Must not trust what the bundle says of itself.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildBundle } from '../../../../admin/marketplace/mirror/bundle.ts';
import { toKeyEntry, writePublicKey } from '../../../../gateway/package/keys.ts';
import { openPackage } from '../../../../gateway/package/package.ts';
import { signIndex, signRoot } from '../../../../gateway/package/trust.ts';
import { makeMarket, NOW, samplePackage, signPackage } from '../../../support/market/packages.ts';
import { startTestAdmin, type TestAdmin } from '../../support.ts';
import { PLUGINS, PUBLISHERS, readIndex, type TestMarket, versionPath } from '../support.ts';
import { judge, type MirrorStage, openMirrorStage, take } from './mirror-stage.ts';

describe('a bundle of the marketplace from another marketplace', () => {
  let stage: MirrorStage;
  let market: TestMarket;
  let other: TestAdmin;
  let otherFolder: string;
  let root: string;

  beforeEach(async () => {
    stage = await openMirrorStage();
    ({ market } = stage);
    otherFolder = await mkdtemp(join(tmpdir(), 'sallyport-other-'));
    other = await startTestAdmin({ marketplaceDir: otherFolder });
    root = await readFile(join(market.folder, 'root.pub'), 'utf8');
  });

  afterEach(async () => {
    await stage.close();
    await other.close();
    await rm(otherFolder, { recursive: true, force: true });
  });

  it('is taken in under its named root, and approved by the own index key: gateways trust one root', async () => {
    const bundle = await stage.exportBundle();
    const unnamed = await take(other, 422, bundle);
    const before = await readIndex(other, otherFolder);

    await take(other, 200, bundle, { root });

    assert.equal(unnamed.body['reason'], 'ROOT_UNTRUSTED');
    const index = await readIndex(other, otherFolder);
    assert.ok(index.version > before.version);
    assert.ok(await judge(other, index, '1.0.0'));
  });

  it('never takes back what was decided here, nor an older index of the same origin', async () => {
    const old = await stage.exportBundle();
    await take(other, 200, old, { root });
    await other.expect(200, 'POST', `${versionPath('1.0.0')}/state`, {
      body: { state: 'revoked', advisory: 'not here' },
    });
    await market.changeState(200, '1.1.0', { state: 'deprecated', advisory: 'because' });
    const fresh = await stage.exportBundle();

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
    await other.expect(201, 'POST', PUBLISHERS, { body: { namespace: 'acme' } });

    const refused = await take(other, 422, await stage.exportBundle(), { root });

    assert.match(refused.text, /belongs to somebody else/);
    await other.expect(404, 'GET', `${PLUGINS}/acme/hello`);
  });

  it('cannot be published to from here', async () => {
    await take(other, 200, await stage.exportBundle(), { root });
    const made = await other.expect(201, 'POST', '/v1/tokens', { body: { name: 'acme-ci', role: 'publisher' } });

    const refused = await other.expect(403, 'POST', '/v1/marketplace/publishers/acme/keys', {
      body: { publicKey: root },
      token: String(made.body['token']),
    });

    assert.equal(refused.body['code'], 'NAMESPACE_FOREIGN');
  });

  it('is refused under a root that did not sign it, or one that is no key', async () => {
    const bundle = await stage.exportBundle();
    const stranger = await readFile(join(otherFolder, 'root.pub'), 'utf8');

    await take(other, 422, bundle, { root: stranger });
    const malformed = await take(other, 422, bundle, { root: 'x' });

    assert.equal(malformed.body['code'], 'CONFIG_INVALID');
    await other.expect(404, 'GET', `${PLUGINS}/acme/hello`);
  });
});
