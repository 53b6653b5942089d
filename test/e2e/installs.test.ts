// A plugin's life in the whole product, under load: published, installed, upgraded, rolled back, uninstalled.
// Must not pause the load for anything.
import assert from 'node:assert/strict';
import type { AdminClient } from '../support/product/admin-client.ts';
import { runCommand } from '../support/product/command.ts';
import type { RunningProduct } from '../support/product/gateway.ts';
import { countStatuses, startLoad } from '../support/product/load.ts';
import { GRANTED, HELLO, type MarketProduct, startMarketProduct } from './marketplace.ts';

/** Every node runs a change within two seconds; a machine that runs other tests beside gets more. */
const APPLIED_MS = 6_000;

describe('plugins of the marketplace in the product', function () {
  this.timeout(120_000);
  let market: MarketProduct;
  let product: RunningProduct;
  let admin: AdminClient;

  before(async () => {
    market = await startMarketProduct();
    ({ product, admin } = market);
    for (const version of ['1.0.0', '2.0.0']) {
      await market.publish(version, `response.headers.set('x-hello', '${version}')`, 'closed');
    }
  });

  after(() => market?.stop());

  it('loses no request while a version is installed, bound, upgraded, rolled back and uninstalled', async () => {
    const load = startLoad(product.urls.proxy, { connections: 8, path: '/orders', pauseMs: 2 });
    await load.waitFor(200);
    const took: number[] = [];
    const step = async (method: 'POST' | 'PATCH' | 'DELETE', path: string, body?: unknown) => {
      const from = performance.now();
      const answer = await admin.call(method, `${path}?wait=applied`, body);
      took.push(performance.now() - from);
      await load.waitFor(200);
      return answer;
    };

    await step('POST', '/v1/installs', { plugin: 'acme/hello', version: '1.0.0', granted: GRANTED });
    const bound = await step('POST', '/v1/bindings', { plugin: 'acme/hello', config: {} });
    const seen = [await market.ask()];
    await step('PATCH', HELLO, { version: '2.0.0' });
    seen.push(await market.ask());
    await step('POST', `${HELLO}/rollback`);
    seen.push(await market.ask());
    await step('DELETE', `/v1/bindings/${bound.body['id']}`);
    await step('DELETE', HELLO);
    seen.push(await market.ask());
    const samples = await load.stop();

    assert.deepEqual(seen, ['1.0.0', '2.0.0', '1.0.0', null]);
    assert.deepEqual(countStatuses(samples), { 200: samples.length });
    assert.ok(Math.max(...took) < APPLIED_MS, `the slowest step took ${Math.round(Math.max(...took))} ms`);
  });

  it('installs, lists, upgrades, rolls back and uninstalls from the command line', async () => {
    const environment = {
      SALLYPORT_ADMIN_URL: product.urls.admin,
      SALLYPORT_DATA_DIR: product.dataDir,
    };
    const run = async (...words: string[]) => {
      const { code, printed, complained } = await runCommand(['plugin', ...words], process.cwd(), environment);
      return { code, text: `${printed}${complained}` };
    };

    const refused = await run('install', 'acme/hello@1.0.0');
    const steps = [
      await run('install', 'acme/hello@1.0.0', '--grant'),
      await run('upgrade', 'acme/hello@2.0.0', '--dry-run'),
      await run('upgrade', 'acme/hello@2.0.0'),
      await run('list'),
      await run('rollback', 'acme/hello'),
      await run('uninstall', 'acme/hello'),
      await run('list'),
    ];

    assert.equal(refused.code, 1);
    assert.match(refused.text, /x-hello[\s\S]*--grant/);
    assert.deepEqual(
      steps.map(({ code }) => code),
      steps.map(() => 0),
      steps.map(({ text }) => text).join('\n'),
    );
    const [installed, preview, upgraded, listed, back, gone, empty] = steps.map(({ text }) => text);
    assert.match(installed ?? '', /Installed acme\/hello@1\.0\.0/);
    assert.match(preview ?? '', /nothing was changed/);
    assert.match(upgraded ?? '', /Upgraded to acme\/hello@2\.0\.0/);
    assert.match(listed ?? '', /acme\/hello@2\.0\.0 .*before 1\.0\.0/);
    assert.match(back ?? '', /Rolled back to acme\/hello@1\.0\.0/);
    assert.match(gone ?? '', /Uninstalled/);
    assert.match(empty ?? '', /Nothing is installed/);
  });

  it('tells whoever waits that a version does not run, and why', async () => {
    await admin.call('POST', '/v1/installs?wait=applied', { plugin: 'acme/hello', version: '1.0.0', granted: GRANTED });

    const refused = await admin.tryCall('PATCH', `${HELLO}?wait=applied`, { version: '2.0.0', tier: 'native' });

    assert.equal(refused.status, 504);
    assert.match(String(refused.body['detail']), /acme\/hello does not run: expected a sandbox/);
    const [node] = refused.body['nodes'] as { plugins: { running: string; wanted: string }[] }[];
    assert.deepEqual([node?.plugins[0]?.wanted, node?.plugins[0]?.running], ['2.0.0', '1.0.0']);
    await admin.call('DELETE', HELLO);
  });
});
