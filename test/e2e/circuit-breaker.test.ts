// An upstream that fails and comes back, behind a circuit, in the running product.
import assert from 'node:assert/strict';
import { type AdminClient, connectAdmin } from '../support/product/admin-client.ts';
import { type RunningProduct, startProduct } from '../support/product/gateway.ts';
import { countStatuses, startLoad } from '../support/product/load.ts';
import { type Origin, startOrigin } from '../support/wire/origin.ts';

describe('a circuit in a running product', () => {
  let origin: Origin;
  let product: RunningProduct;
  let admin: AdminClient;
  let isDown = false;

  before(async () => {
    const answer: Parameters<typeof startOrigin>[0] = (_, response) => {
      if (isDown) response.destroy();
      else response.end('ok');
    };
    [origin, product] = await Promise.all([
      startOrigin(answer),
      startProduct({ environment: { SALLYPORT_WORKERS: '2' } }),
    ]);
    admin = await connectAdmin(product);
    for (const name of ['fragile', 'other']) {
      await admin.call('POST', '/v1/apis', { name, upstream: origin.url, routes: [{ paths: [`/${name}`] }] });
    }
    const config = { openSeconds: 1, maxOpenSeconds: 1, minimumRequests: 5, probes: 1 };
    const binding = { plugin: 'circuit-breaker', scope: { api: 'fragile' }, config };
    await admin.call('POST', '/v1/bindings?wait=applied', binding);
  });

  after(async () => {
    await product.stop();
    await origin.close();
  });

  it('spares an upstream that is down, leaves other apis alone, and closes when it is back', async () => {
    const load = startLoad(product.urls.proxy, { connections: 8, path: '/fragile', pauseMs: 10 });
    await load.waitFor(50);
    isDown = true;
    await load.waitFor(200);
    const [seenEarly, startedAt] = [origin.seen.length, performance.now()];
    await load.waitFor(200);
    const reached = origin.seen.length - seenEarly;
    const seconds = Math.ceil((performance.now() - startedAt) / 1_000);
    const other = await fetch(`${product.urls.proxy}/other`).then(({ status }) => status);
    isDown = false;
    while ((await statusOf('/fragile')) !== 200 || (await statusOf('/fragile')) !== 200) await load.waitFor(1);
    const counts = countStatuses(await load.stop());

    assert.equal(other, 502, 'the other api has no circuit');
    // Each of two workers tries once a second.
    assert.ok(reached <= 2 * (seconds + 1), `${reached} reached the upstream in ${seconds} s`);
    assert.ok((counts[503] ?? 0) >= 200, JSON.stringify(counts));
    assert.deepEqual(
      Object.keys(counts)
        .map(Number)
        .toSorted((a, b) => a - b),
      [200, 502, 503],
    );
  }).timeout(30_000);

  it('tells a client that meets an open circuit when to come again', async () => {
    isDown = true;
    let response = await fetch(`${product.urls.proxy}/fragile`);
    while (response.status === 502) {
      await response.body?.cancel();
      response = await fetch(`${product.urls.proxy}/fragile`);
    }

    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '1');
    assert.equal(Object(await response.json()).code, 'CIRCUIT_OPEN');
    const metrics = await fetch(`${product.urls.status}/metrics`).then((got) => got.text());
    assert.match(metrics, /^sallyport_circuit_refused_total\{[^}]*api="fragile"[^}]*\} [1-9]/m);
  });

  function statusOf(path: string): Promise<number> {
    return fetch(product.urls.proxy + path).then(async (response) => {
      await response.arrayBuffer();
      return response.status;
    });
  }
});
