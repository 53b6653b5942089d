// Limits over all workers of a node, in the running product.
import assert from 'node:assert/strict';
import { type AdminClient, connectAdmin } from '../support/product/admin-client.ts';
import { type RunningProduct, startProduct } from '../support/product/gateway.ts';
import { countStatuses, type Sample, startLoad } from '../support/product/load.ts';
import { type Origin, startOrigin } from '../support/wire/origin.ts';

const LIMIT = 100;
const WINDOW_MS = 3_000;

describe('limits in a running product', () => {
  let origin: Origin;
  let product: RunningProduct;
  let admin: AdminClient;

  before(async () => {
    [origin, product] = await Promise.all([startOrigin(), startProduct({ environment: { SALLYPORT_WORKERS: '2' } })]);
    admin = await connectAdmin(product);
    for (const [name, store] of [
      ['burst', 'local'],
      ['steady', 'local'],
      ['shared', 'postgres'],
    ] as const) {
      await admin.call('POST', '/v1/apis', { name, upstream: origin.url, routes: [{ paths: [`/${name}`] }] });
      const limits = [{ requests: LIMIT, windowSeconds: WINDOW_MS / 1000 }];
      const binding = { plugin: 'rate-limiting', scope: { api: name }, config: { limits, by: 'ip', store } };
      await admin.call('POST', '/v1/bindings?wait=applied', binding);
    }
  });

  after(async () => {
    await product.stop();
    await origin.close();
  });

  it('passes at least 98 and never more than 100 of 400 requests fired by 64 connections', async () => {
    const samples = await startLoad(product.urls.proxy, { connections: 64, path: '/burst', requests: 400 }).stop();

    const counts = countStatuses(samples);
    const passed = counts[200] ?? 0;
    assert.ok(passed <= LIMIT && passed >= 0.98 * LIMIT, JSON.stringify(counts));
    assert.equal(passed + (counts[429] ?? 0), 400, JSON.stringify(counts));
  });

  it('passes exactly 100 of them when the counts are in Postgres', async () => {
    const samples = await startLoad(product.urls.proxy, { connections: 64, path: '/shared', requests: 400 }).stop();

    // More than one window may pass on a busy machine; the counts of a fixed window are exact in each.
    const windows = Math.ceil(((samples.at(-1)?.at ?? 0) - (samples[0]?.at ?? 0)) / WINDOW_MS);
    const passed = countStatuses(samples)[200] ?? 0;
    assert.ok(passed >= LIMIT && passed <= LIMIT * (windows + 1), `${passed} in ${windows} windows`);
    if (windows === 1) assert.equal(passed, LIMIT);
  });

  it('keeps to that in every window while the load goes on over several', async () => {
    const load = startLoad(product.urls.proxy, { connections: 64, path: '/steady', pauseMs: 20 });
    await load.waitFor(1);
    const startedAt = performance.now();
    while (performance.now() - startedAt < 3.2 * WINDOW_MS) await load.waitFor(50);
    const samples = await load.stop();

    const passed = samples.filter(({ status }) => status === 200);
    // A pass counts at some moment between its request and its answer: only windows wide enough to be sure of are judged.
    assert.ok(mostIn(passed, WINDOW_MS) <= LIMIT, `${mostIn(passed, WINDOW_MS)} in one window`);
    assert.ok(passed.length >= 3 * 0.98 * LIMIT, `${passed.length} in more than three windows`);
  }).timeout(30_000);
});

/** Gives the most passes that lay wholly inside any one window: asked after its start and answered before its end. */
function mostIn(passed: readonly Sample[], windowMs: number): number {
  return Math.max(
    ...passed.map(({ at }) => passed.filter((one) => one.at >= at && one.at + one.latencyMs < at + windowMs).length),
  );
}
