// A mirror of the same root: what travels in a bundle, and what gateways believe of it.
// Must not break a bundle: broken.test.ts does.
import assert from 'node:assert/strict';
import type { TestAdmin } from '../../support.ts';
import { PLUGINS, PUBLISHERS, readIndex, type TestMarket, versionPath } from '../support.ts';
import { BUNDLE, judge, type MirrorStage, openMirrorStage, take } from './mirror-stage.ts';

describe('a bundle of the marketplace', () => {
  let stage: MirrorStage;
  let market: TestMarket;
  let mirror: TestAdmin;

  beforeEach(async () => {
    stage = await openMirrorStage();
    ({ market, mirror } = stage);
  });

  afterEach(() => stage.close());

  it('makes a mirror of the same root that hands on the index as it is, and that gateways believe', async () => {
    const bundle = await stage.exportBundle();
    const taken = await take(mirror, 200, bundle);
    const again = await take(mirror, 200, bundle);

    const { indexVersion: _version, rootVersion: _root, ...counts } = taken.body;
    assert.deepEqual(counts, { added: 2, changed: 0, isExpired: false });
    assert.deepEqual([again.body['added'], again.body['changed']], [0, 0]);
    const index = await readIndex(mirror, stage.mirrorFolder);
    assert.equal(index.version, (await market.openIndex()).version);
    assert.ok(await judge(mirror, index, '1.0.0'));
    assert.ok(await judge(mirror, index, '1.1.0'));
    const listed = await mirror.expect(200, 'GET', PLUGINS);
    assert.equal((listed.body['data'] as { latestVersion: string }[])[0]?.latestVersion, '1.1.0');
    const publish = await mirror.expect(503, 'POST', PUBLISHERS, { body: { namespace: 'other' } });
    assert.equal(publish.body['code'], 'SIGNING_UNAVAILABLE');
  });

  it('carries revocations, and never goes back to an older index', async () => {
    const old = await stage.exportBundle();
    await market.changeState(200, '1.0.0', { state: 'revoked', advisory: 'because' });
    const fresh = await stage.exportBundle();
    await take(mirror, 200, old);
    await take(mirror, 200, fresh);

    const refused = await take(mirror, 422, old);

    assert.equal(refused.body['code'], 'BUNDLE_REFUSED');
    assert.equal(refused.body['reason'], 'INDEX_OUTDATED');
    const index = await readIndex(mirror, stage.mirrorFolder);
    assert.equal(index.plugins['acme/hello']?.['1.0.0']?.state, 'revoked');
    assert.equal(await judge(mirror, index, '1.0.0'), false);
    const shown = await mirror.expect(200, 'GET', versionPath('1.0.0'));
    assert.equal(shown.body['state'], 'revoked');
  });

  it('holds one plugin when asked for one, and nothing that cannot be installed', async () => {
    await market.changeState(200, '1.0.0', { state: 'yanked', advisory: 'because' });
    const all = await stage.exportBundle();
    const none = await stage.exportBundle('?plugin=acme/other');

    assert.equal(all.packages.length, 1);
    assert.equal(none.packages.length, 0);
  });

  it('shows in a dry run what it would do, and does not do it', async () => {
    const preview = await mirror.expect(200, 'POST', `${BUNDLE}?dryRun=true`, {
      body: { bundle: await stage.exportBundle() },
    });

    assert.equal(preview.body['added'], 2);
    await mirror.expect(404, 'GET', '/v1/marketplace/index');
  });
});
