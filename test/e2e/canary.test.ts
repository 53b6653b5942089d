// A version on trial in the whole product, under load: taken in, judged by what was measured, installed or sent away.
// Must not wait for time to pass: it waits for what the product says.
import assert from 'node:assert/strict';
import type { AdminClient } from '../support/product/admin-client.ts';
import type { RunningProduct } from '../support/product/gateway.ts';
import { countStatuses, startLoad } from '../support/product/load.ts';
import { GRANTED, HELLO, type MarketProduct, startMarketProduct } from './marketplace.ts';

type Shown = Readonly<Record<string, unknown>>;

describe('a version on trial in the product', function () {
  this.timeout(120_000);
  let market: MarketProduct;
  let product: RunningProduct;
  let admin: AdminClient;

  before(async () => {
    market = await startMarketProduct();
    ({ product, admin } = market);
    await market.publish('1.0.0', "response.headers.set('x-hello', '1.0.0')", 'open');
    await market.publish('1.1.0', "response.headers.set('x-hello', '1.1.0')", 'open');
    // Its fixture passes; what comes after does not.
    await market.publish('1.2.0', "if (++calls > 1) throw new Error('does not work')", 'open');
  });

  after(() => market?.stop());

  beforeEach(async () => {
    await admin.call('POST', '/v1/installs', { plugin: 'acme/hello', version: '1.0.0', granted: GRANTED });
    await admin.call('POST', '/v1/bindings?wait=applied', { plugin: 'acme/hello', config: {} });
  });

  afterEach(async () => {
    const { body } = await admin.call('GET', '/v1/bindings');
    for (const { id } of body['data'] as { id: string }[]) await admin.call('DELETE', `/v1/bindings/${id}`);
    await admin.call('DELETE', `${HELLO}?wait=applied`);
  });

  async function untilInstalled(fits: (install: Shown) => boolean): Promise<Shown> {
    for (;;) {
      const { body } = await admin.call('GET', HELLO);
      if (fits(body)) return body;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('gets its part, is shown as it fares, and ends when somebody ends it', async () => {
    await admin.call('PUT', `${HELLO}/canary?wait=applied`, { version: '1.1.0', percent: 50, key: 'request' });

    const seen = new Set<string | null>();
    while (seen.size < 2) seen.add(await market.ask());
    const shown = await admin.call('GET', `${HELLO}/canary`);
    await admin.call('DELETE', `${HELLO}/canary?wait=applied`);

    assert.deepEqual([...seen].sort(), ['1.0.0', '1.1.0']);
    assert.deepEqual([shown.body['version'], shown.body['percent']], ['1.1.0', 50]);
    assert.equal((shown.body['verdict'] as Shown)['decision'], 'wait');
    assert.equal(await market.ask(), '1.0.0');
    assert.equal((await admin.call('GET', HELLO)).body['canary'], undefined);
  });

  it('is installed by itself when it went well for long enough, and no request is lost', async () => {
    const load = startLoad(product.urls.proxy, { connections: 4, path: '/orders', pauseMs: 2 });
    const trial = { version: '1.1.0', percent: 50, key: 'request', minExchanges: 20, promoteAfterSeconds: 1 };
    await admin.call('PUT', `${HELLO}/canary?wait=applied`, trial);

    const install = await untilInstalled(({ version }) => version === '1.1.0');
    const samples = await load.stop();

    assert.equal((install['previous'] as Shown)['version'], '1.0.0');
    assert.equal(install['canary'], undefined);
    assert.deepEqual(countStatuses(samples), { 200: samples.length });
    const { body } = await admin.call('GET', '/v1/audit?limit=20');
    const [event] = (body['data'] as Shown[]).filter(({ action }) => action === 'install.promote');
    assert.equal(event?.['actor'], 'canary');
  });

  it('is sent away by itself when it fails, and no request is lost', async () => {
    const load = startLoad(product.urls.proxy, { connections: 4, path: '/orders', pauseMs: 2 });
    await admin.call('PUT', `${HELLO}/canary?wait=applied`, { version: '1.2.0', percent: 50, key: 'request' });

    const install = await untilInstalled(({ canary }) => canary === undefined);
    const samples = await load.stop();

    assert.equal(install['version'], '1.0.0');
    assert.deepEqual(countStatuses(samples), { 200: samples.length });
    const { body } = await admin.call('GET', '/v1/revisions?limit=5');
    const summaries = (body['data'] as Shown[]).map(({ summary }) => String(summary));
    assert.ok(
      summaries.some((summary) => /revert acme\/hello@1\.2\.0: it was set aside/.test(summary)),
      summaries.join('\n'),
    );
  });

  it('is refused when it is the installed version, is not there, or asks for more', async () => {
    const refusals = await Promise.all(
      [
        { version: '1.0.0' },
        { version: '9.9.9' },
        { version: '1.1.0', granted: {} },
        { version: '1.1.0', percent: 101 },
      ].map((body) => admin.tryCall('PUT', `${HELLO}/canary`, body)),
    );

    assert.deepEqual(
      refusals.map(({ status }) => status),
      [422, 422, 409, 422],
    );
    assert.equal((await admin.tryCall('POST', `${HELLO}/canary/promote`)).status, 404);
  });
});
