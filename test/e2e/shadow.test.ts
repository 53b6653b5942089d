// A version in the shadow in the whole product: what it would do is told, and no exchange feels it.
// Must not wait for time to pass: it waits for what the product says.
import assert from 'node:assert/strict';
import { query } from '../support/market/stored-market.ts';
import { countStatuses, startLoad } from '../support/product/load.ts';
import { HELLO } from './marketplace.ts';
import { startTrialProduct, type TrialProduct } from './trial.ts';

const SHADOW = `${HELLO}/shadow`;
const KEY = 'sk-live-4f9a77c2e1';

type Shown = Readonly<Record<string, unknown>>;

describe('a version in the shadow in the product', function () {
  this.timeout(120_000);
  let trial: TrialProduct;

  before(async () => {
    trial = await startTrialProduct();
    await trial.publish(
      '1.1.0',
      "response.headers.set('x-hello', request.headers.has('x-vip') ? '1.1.0' : '1.0.0')",
      'open',
    );
    await trial.publish('1.2.0', "response.headers.set('x-hello', request.headers.get('apikey') ?? 'none')", 'open');
    // Their fixture passes; what comes after does not.
    await trial.publish('1.3.0', 'if (++calls > 1) for (;;) {}', 'open');
    await trial.publish('1.4.0', "if (++calls > 1) throw new Error('does not work')", 'open');
  });

  after(() => trial?.stop());

  afterEach(async () => {
    await trial.admin.tryCall('DELETE', `${SHADOW}?wait=applied`);
  });

  async function start(version: string): Promise<void> {
    await trial.admin.call('PUT', `${SHADOW}?wait=applied`, { version, percent: 100 });
  }

  async function untilShown(fits: (shown: Shown) => boolean): Promise<Shown> {
    for (;;) {
      const { body } = await trial.admin.call('GET', SHADOW);
      if (fits(body)) return body;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  it('is told by the requests in which it differs, with an example, over all workers', async () => {
    await start('1.1.0');

    const seen = new Set<string | null>();
    for (let round = 0; round < 30; round++) seen.add(await trial.askWith(round % 3 === 0 ? { 'x-vip': 'yes' } : {}));
    const shown = await untilShown(({ compared }) => compared === 30);

    assert.deepEqual([...seen], ['1.0.0']);
    assert.equal(shown['differing'], 10);
    assert.deepEqual(shown['kinds'], { 'response header x-hello changed': 10 });
    const [example] = shown['examples'] as Shown[];
    assert.deepEqual(example?.['differences'], [
      {
        ...{ place: 'response header', name: 'x-hello', kind: 'changed' },
        ...{ installed: '1.0.0', candidate: '1.1.0' },
      },
    ]);
    assert.deepEqual([example?.['api'], example?.['path']], ['orders', '/orders']);
    const candidate = shown['candidate'] as Shown;
    assert.deepEqual([candidate['version'], candidate['calls'], candidate['errors']], ['1.1.0', 30, 0]);
    assert.ok(Number(candidate['totalMs']) > 0);
  });

  it('tells nobody a key that a client sent, whatever it does with it', async () => {
    await start('1.2.0');

    for (let round = 0; round < 5; round++) await trial.askWith({ apikey: KEY });
    const shown = await untilShown(({ compared }) => compared === 5);

    assert.equal(shown['differing'], 5);
    const text = JSON.stringify(shown);
    assert.ok(text.includes('withheld') && !text.includes(KEY), text);
    const stored = JSON.stringify(await query(trial.database.url, 'SELECT health FROM nodes'));
    assert.ok(stored.includes('withheld') && !stored.includes(KEY));
  });

  for (const [what, version, count] of [
    ['loops', '1.3.0', 'timeouts'],
    ['throws', '1.4.0', 'errors'],
  ] as const) {
    it(`harms no request when it ${what}, and is seen to`, async () => {
      const load = startLoad(trial.product.urls.proxy, { connections: 4, path: '/orders', pauseMs: 2 });
      await start(version);

      const shown = await untilShown(
        (one) => Number((one['candidate'] as Shown)['errors']) + Number((one['candidate'] as Shown)['timeouts']) > 0,
      );
      const samples = await load.stop();

      assert.ok(Number((shown['candidate'] as Shown)[count]) > 0, JSON.stringify(shown));
      assert.equal((shown['installed'] as Shown)['errors'], 0);
      assert.deepEqual(countStatuses(samples), { 200: samples.length });
    });
  }

  it('is refused beside a version on trial, and the other way round', async () => {
    const { admin } = trial;
    const canary = `${HELLO}/canary`;

    await start('1.1.0');
    const beside = await admin.tryCall('PUT', canary, { version: '1.1.0' });
    await admin.call('DELETE', SHADOW);
    await admin.call('PUT', canary, { version: '1.1.0', percent: 0 });
    const other = await admin.tryCall('PUT', SHADOW, { version: '1.1.0' });
    await admin.call('DELETE', canary);

    assert.deepEqual([beside.status, beside.body['code']], [409, 'CONFLICT']);
    assert.match(String(beside.body['detail']), /1\.1\.0 runs in the shadow of it; end that first/);
    assert.deepEqual([other.status, other.body['code']], [409, 'CONFLICT']);
    assert.match(String(other.body['detail']), /1\.1\.0 is on trial; end that first/);
  });

  it('is refused when it is the installed version, is not there, or asks for more; and is gone when it was ended', async () => {
    const refusals = await Promise.all(
      [
        { version: '1.0.0' },
        { version: '9.9.9' },
        { version: '1.1.0', granted: {} },
        { version: '1.1.0', percent: 101 },
      ].map((body) => trial.admin.tryCall('PUT', SHADOW, body)),
    );

    assert.deepEqual(
      refusals.map(({ status }) => status),
      [422, 422, 409, 422],
    );
    assert.equal((await trial.admin.tryCall('GET', SHADOW)).status, 404);
    assert.equal((await trial.admin.tryCall('DELETE', SHADOW)).status, 404);
  });
});
