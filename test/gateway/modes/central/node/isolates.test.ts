// Facts about a node that has packages in isolates: where they run, and what happens when one takes its worker with it.
// Must not test what a package does there: test/gateway/sandbox does.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sampleIndex } from '../../../../support/market/packages.ts';
import {
  makeVersion,
  type SignedPackage,
  storeIndex,
  storePackage,
  waitForInstall,
} from '../../../../support/market/stored-market.ts';
import { HAS_ISOLATES } from '../../../sandbox/support.ts';
import { type MarketStage, openMarketStage } from './with-market.ts';

/** V8 does not let go of the second line before it is done, which takes minutes. */
const CODE = `export const plugin = {
  onRequest({ request }) { if (request.path.endsWith('/crash')) new Array(2 ** 30).fill(0); },
  onResponse({ response }) { response.headers.set('x-hello', '2.0.0'); },
};
`;
const MANIFEST = {
  hooks: ['onRequest', 'onResponse'],
  permissions: { request: { path: 'read' }, response: { headers: { write: ['x-hello'] } } },
};

describe('node with packages in isolates', function () {
  this.timeout(60_000);
  let stage: MarketStage;
  let second: SignedPackage;

  beforeEach(async () => {
    stage = await openMarketStage();
    const { databaseUrl, market, index } = stage;
    second = makeVersion(market, '2.0.0', { code: CODE, manifest: MANIFEST });
    await storePackage(databaseUrl, second);
    const { plugins } = sampleIndex(market, [stage.first.pkg, second.pkg]);
    await storeIndex(databaseUrl, market, { ...index, version: index.version + 1, plugins });
  });

  afterEach(() => stage.close());

  if (!HAS_ISOLATES) {
    it('runs them in processes where isolates do not load, and says so', async () => {
      const { waitForLog } = await stage.start();
      await stage.upgrade(second, { tier: 'isolate' });

      const report = await waitForInstall(stage.databaseUrl, ({ running }) => running === '2.0.0');
      const line = await waitForLog(({ message }) => String(message).startsWith('isolates do not load here'));

      assert.deepEqual([report.tier, report.problem, await stage.ask()], ['process', null, '2.0.0']);
      assert.match(String(line['reason']), /isolated-vm/);
    });
    return;
  }

  it('goes on with processes when one takes its worker with it, also after a restart', async () => {
    const node = await stage.start();
    await stage.upgrade(second, { tier: 'isolate' });
    const before = await waitForInstall(stage.databaseUrl, ({ running }) => running === '2.0.0');
    const answer = await stage.ask();

    const lost = stage.ask('orders/crash').catch(() => undefined);
    const off = await node.waitForLog(({ message }) => String(message).includes('isolates are off on this node'));
    await lost;

    assert.deepEqual([before.tier, answer], ['isolate', '2.0.0']);
    assert.equal(off['crashes'], 1);
    await waitForInstall(stage.databaseUrl, ({ tier }) => tier === 'process');
    for (let request = 0; request < 20; request++) assert.equal(await stage.ask(), '2.0.0');
    // In a process it is the package that pays.
    assert.equal(await stage.ask('orders/crash'), 500);
    assert.equal(node.log.filter(({ message }) => message === 'a worker died').length, 1);
    assert.ok(existsSync(join(node.dataDir, 'node', 'isolates-off.json')));
    await stage.stop();
    await stage.start();
    assert.equal((await waitForInstall(stage.databaseUrl, ({ tier }) => tier !== undefined)).tier, 'process');
  });
});
