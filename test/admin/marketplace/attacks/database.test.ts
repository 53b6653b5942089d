// A marketplace whose database somebody else writes to.
// Must not have the keys of the marketplace.
import assert from 'node:assert/strict';
import { samplePackage } from '../../../support/market/packages.ts';
import { runSql } from '../../../support/product/database.ts';
import { ofVersion, startTestMarket, type TestMarket, versionPath } from '../support.ts';

describe('the marketplace under attack by somebody who writes to the database', () => {
  let market: TestMarket;
  let lines: string[];

  beforeEach(async () => {
    lines = [];
    const keep = (message: string): void => void lines.push(message);
    market = await startTestMarket({ log: { debug: keep, info: keep, warn: keep, error: keep } });
  });

  afterEach(() => market.close());

  const evil = (): string => samplePackage(ofVersion('1.0.0', { files: { 'README.md': '# evil\n' } })).toString('hex');

  it('approves no bytes but those that were published', async () => {
    const made = await market.publish(ofVersion('1.0.0'));
    await runSql(
      market.admin.database.url,
      `UPDATE plugin_packages SET bytes = decode('${evil()}', 'hex') WHERE sha256 = '${made.body['sha256']}'`,
    );

    const refused = await market.admin.call('POST', `${versionPath('1.0.0')}/review`, {
      body: { decision: 'approve' },
    });

    await market.admin.expect(200, 'POST', `${versionPath('1.0.0')}/review`, { body: { decision: 'reject' } });

    assert.ok(refused.status === 409 || refused.status === 422, refused.text);
    assert.deepEqual((await market.openIndex()).plugins, {});
  });

  it('leaves out of the index what its envelope does not say', async () => {
    await market.approve('1.0.0');
    await market.approve('1.1.0');
    await runSql(
      market.admin.database.url,
      `INSERT INTO plugin_packages (sha256, bytes) VALUES ('${'e'.repeat(64)}', 'x');
       UPDATE marketplace_versions SET sha256 = '${'e'.repeat(64)}' WHERE version = '1.0.0'`,
    );
    await market.approve('1.2.0');

    const { plugins } = await market.openIndex();

    assert.deepEqual(Object.keys(plugins['acme/hello'] ?? {}), ['1.1.0', '1.2.0']);
    assert.match(lines.join('\n'), /not what was approved/);
  });

  it('leaves out what only a row says is approved', async () => {
    await market.publish(ofVersion('1.0.0'));
    await runSql(market.admin.database.url, `UPDATE marketplace_versions SET state = 'approved'`);
    await market.approve('1.1.0');

    assert.deepEqual(Object.keys((await market.openIndex()).plugins['acme/hello'] ?? {}), ['1.1.0']);
  });

  it('keeps revoked what was revoked, also when the row is changed or gone', async () => {
    for (const version of ['1.0.0', '1.1.0']) {
      await market.approve(version);
      await market.admin.expect(200, 'POST', `${versionPath(version)}/state`, {
        body: { state: 'revoked', advisory: 'bad' },
      });
    }
    await runSql(
      market.admin.database.url,
      `UPDATE marketplace_versions SET state = 'approved' WHERE version = '1.0.0';
       DELETE FROM marketplace_versions WHERE version = '1.1.0'`,
    );
    await market.approve('1.2.0');

    const versions = (await market.openIndex()).plugins['acme/hello'];

    assert.equal(versions?.['1.0.0']?.state, 'revoked');
    assert.equal(versions?.['1.1.0']?.state, 'revoked');
    assert.equal(versions?.['1.2.0']?.state, 'approved');
  });

  it('signs nothing under a root that is not its own', async () => {
    await market.publish(ofVersion('1.0.0'));
    const other = await startTestMarket();
    const { body } = await other.admin.expect(200, 'GET', '/v1/marketplace/index');
    await other.close();
    await runSql(
      market.admin.database.url,
      `INSERT INTO marketplace_root (version, envelope) VALUES (99, '${JSON.stringify(body['root'])}')`,
    );

    const refused = await market.admin.expect(503, 'POST', `${versionPath('1.0.0')}/review`, {
      body: { decision: 'approve' },
    });

    assert.equal(refused.body['code'], 'SIGNING_UNAVAILABLE');
  });
});
