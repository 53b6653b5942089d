// Many that do at once what only one may do.
// Must not depend on who comes first.
import assert from 'node:assert/strict';
import { samplePackage } from '../../../support/market/packages.ts';
import { type Reply, startTestAdmin } from '../../support.ts';
import { ofVersion, PLUGINS, publication, startTestMarket, type TestMarket, versionPath } from '../support.ts';

describe('the marketplace under attack', () => {
  let market: TestMarket;

  beforeEach(async () => {
    market = await startTestMarket();
  });

  afterEach(() => market.close());

  it('keeps one of many that publish the same version at once, and says 200 or 409 to the others', async () => {
    const same = publication(samplePackage(ofVersion('1.0.0')), market.keys);
    const other = publication(samplePackage(ofVersion('1.0.0', { files: { 'README.md': '# b\n' } })), market.keys);
    const token = market.tokens.publisher;
    const bodies = Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? same : other));

    const replies = await Promise.all(bodies.map((body) => market.admin.call('POST', PLUGINS, { body, token })));

    const count = (status: number): number => replies.filter((reply) => reply.status === status).length;
    assert.deepEqual([count(201), count(200), count(409)], [1, 5, 6]);
  });

  it('lets one of many decisions through, and makes one index per change', async () => {
    await market.publish(ofVersion('1.0.0'));
    const before = (await market.openIndex()).version;
    const decide = (index: number): Promise<Reply> =>
      market.admin.call('POST', `${versionPath('1.0.0')}/review`, {
        body: { decision: index % 2 === 0 ? 'approve' : 'reject' },
        token: market.tokens.reviewer,
      });

    const replies = await Promise.all(Array.from({ length: 8 }, (_, index) => decide(index)));

    assert.equal(replies.filter(({ status }) => status === 200).length, 1);
    assert.equal(replies.filter(({ status }) => status === 409).length, 7);
    const index = await market.openIndex();
    const { body } = await market.admin.expect(200, 'GET', versionPath('1.0.0'));
    assert.equal(index.plugins['acme/hello'] !== undefined, body['state'] === 'approved');
    assert.equal(index.version > before, body['state'] === 'approved');
  });

  it('lets one decision through when two admin services get one each', async () => {
    const other = await startTestAdmin({ database: market.admin.database, marketplaceDir: market.folder });
    try {
      for (const version of ['1.0.0', '1.1.0', '1.2.0']) {
        await market.publish(ofVersion(version));

        const [one, another] = await Promise.all([
          market.admin.call('POST', `${versionPath(version)}/review`, { body: { decision: 'approve' } }),
          other.call('POST', `${versionPath(version)}/review`, { body: { decision: 'reject' } }),
        ]);

        assert.deepEqual([one.status, another.status].sort(), [200, 409]);
        const { body } = await market.admin.expect(200, 'GET', versionPath(version));
        assert.equal(body['state'], one.status === 200 ? 'approved' : 'rejected');
      }
    } finally {
      await other.close();
    }
  });

  it('lists every change when many states change at once', async () => {
    for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) await market.approve(version);
    const replies = await Promise.all(
      ['1.0.0', '1.1.0', '1.2.0', '1.3.0'].map((version) =>
        market.admin.call('POST', `${versionPath(version)}/state`, { body: { state: 'yanked' } }),
      ),
    );

    assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
    const states = Object.values((await market.openIndex()).plugins['acme/hello'] ?? {}).map(({ state }) => state);
    assert.deepEqual(states, ['yanked', 'yanked', 'yanked', 'yanked']);
  });
});
