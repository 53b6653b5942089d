// A version that fails under load, in the whole product: the version before takes over, until a good one is installed.
// Must not wait for time to pass: it waits for what the product says.
import assert from 'node:assert/strict';
import type { AdminClient } from '../support/product/admin-client.ts';
import type { LogLine, RunningProduct } from '../support/product/gateway.ts';
import { countStatuses, startLoad } from '../support/product/load.ts';
import { until } from '../support/until.ts';
import { GRANTED, HELLO, type MarketProduct, startMarketProduct } from './marketplace.ts';

type Shown = Readonly<Record<string, unknown>>;

/** As the product is started for tests. */
const WORKERS = 2;
/** After so many in a row a worker sets a version aside. */
const FAILURES = 5;
const CONNECTIONS = 4;

describe('a version that fails, with the version before behind it', function () {
  this.timeout(120_000);
  let market: MarketProduct;
  let product: RunningProduct;
  let admin: AdminClient;

  before(async () => {
    market = await startMarketProduct();
    ({ product, admin } = market);
    const greet = (version: string): string => `response.headers.set('x-hello', '${version}')`;
    await market.publish('1.0.0', greet('1.0.0'), 'closed');
    // Its fixture passes; what comes after does not.
    await market.publish('1.1.0', `if (++calls > 1) throw new Error('a bug'); ${greet('1.1.0')}`, 'previous');
    await market.publish('1.1.1', greet('1.1.1'), 'previous');
    await admin.call('POST', '/v1/installs', { plugin: 'acme/hello', version: '1.0.0', granted: GRANTED });
    await admin.call('POST', '/v1/bindings?wait=applied', { plugin: 'acme/hello', config: {} });
  });

  after(() => market?.stop());

  const listAside = (): LogLine[] =>
    product.log.filter(({ message }) => message === 'a plugin is set aside: it failed too often');
  const countAside = (): number => listAside().length;
  const countWorkersAside = (): number => new Set(listAside().map(({ pid }) => pid)).size;

  /** Every try of the failing version costs one request; nothing else may. */
  async function askFor(version: string, times: number): Promise<void> {
    const triesBefore = countAside();
    const answers: (string | null)[] = [];
    for (let index = 0; index < times; index++) answers.push(await market.ask());
    const others = answers.filter((answer) => answer !== version);
    // Log lines come later than answers.
    await until(() => others.length <= countAside() - triesBefore);
  }

  async function untilReported(fits: (incident: Shown) => boolean): Promise<Shown> {
    for (;;) {
      const { body } = await admin.call('GET', '/v1/plugins/acme/hello');
      const found = (body['incidents'] as Shown[]).find(fits);
      if (found) return found;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('loses requests until it is set aside, then none, and a good version takes over', async () => {
    const load = startLoad(product.urls.proxy, { connections: CONNECTIONS, path: '/orders', pauseMs: 2 });
    await load.waitFor(100);
    await admin.call('PATCH', `${HELLO}?wait=applied`, { version: '1.1.0' });
    // Kept connections may all be with one worker; new ones come to the other in the end.
    let failedAsks = 0;
    while (countWorkersAside() < WORKERS) if ((await market.ask()) === null) failedAsks++;
    await load.waitFor(100);
    const counts = countStatuses(await load.stop());
    const tries = countAside() - WORKERS;

    const { 200: good = 0, 500: failedLoad = 0, ...others } = counts;
    const failed = failedLoad + failedAsks;
    assert.deepEqual([others, good > 200], [{}, true]);
    assert.ok(
      failed >= FAILURES * WORKERS && failed <= FAILURES * WORKERS + CONNECTIONS + 1 + tries,
      `${failed} failed`,
    );
    await askFor('1.0.0', 100);
    const incident = await untilReported(({ isAside }) => isAside === true);
    assert.deepEqual(incident['previous'], { version: '1.0.0', isRunning: true, problem: null });

    await admin.call('PATCH', `${HELLO}?wait=applied`, { version: '1.1.1' });

    await askFor('1.1.1', 20);
  });
});
