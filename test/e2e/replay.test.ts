// Requests recorded in the whole product, and versions run on them before anybody gets them.
// Must not wait for time to pass: it waits for what the product says.
import assert from 'node:assert/strict';
import { query } from '../support/market/stored-market.ts';
import { HELLO } from './marketplace.ts';
import { startTrialProduct, type TrialProduct } from './trial.ts';

const REPLAY = `${HELLO}/replay`;
const RECORDED = '/v1/apis/orders/recorded-requests';
const KEY = 'sk-live-4f9a77c2e1';
/** Rounds of requests; each has one in which the candidate differs. */
const ROUNDS = 4;

type Shown = Readonly<Record<string, unknown>>;

describe('a replay in the product', function () {
  this.timeout(120_000);
  let trial: TrialProduct;
  let recorded: readonly Shown[];

  before(async () => {
    trial = await startTrialProduct();
    const { admin } = trial;
    await trial.publish(
      '1.1.0',
      "response.headers.set('x-hello', request.headers.has('x-vip') ? '1.1.0' : '1.0.0')",
      'open',
    );
    await trial.publish('1.2.0', "response.headers.set('x-hello', request.headers.get('apikey') ?? 'none')", 'open');
    // Their fixture passes; what comes after does not.
    await trial.publish('1.3.0', 'if (++calls > 1) for (;;) {}', 'open');
    await trial.publish('1.4.0', "if (++calls > 1) throw new Error('does not work')", 'open');
    await trial.askWith({ 'x-before': 'nobody asked to record' });
    await admin.call('PATCH', '/v1/apis/orders?wait=applied', { recordPerSecond: 10 });
    for (let round = 0; round < ROUNDS; round++) {
      await trial.askWith({ apikey: KEY, 'x-vip': 'yes' }, `/orders?token=${KEY}`);
      await trial.askWith({ apikey: KEY, 'user-agent': 'test' });
    }
    await admin.call('PATCH', '/v1/apis/orders?wait=applied', { recordPerSecond: null });
    await trial.askWith({ 'x-after': 'nobody asks to record any more' });
    recorded = await untilRecorded(2 * ROUNDS);
  });

  after(() => trial?.stop());

  async function untilRecorded(count: number): Promise<readonly Shown[]> {
    for (;;) {
      const { body } = await trial.admin.call('GET', RECORDED);
      const data = body['data'] as readonly Shown[];
      if (data.length >= count) return data;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async function replay(body: Shown): Promise<Shown> {
    return (await trial.admin.call('POST', REPLAY, { api: 'orders', ...body })).body;
  }

  it('is of requests of an api that asked for it, as they came, and as the upstream answered', () => {
    const names = (one: Shown): readonly string[] => (one['headers'] as [string, string][]).map(([name]) => name);

    assert.equal(recorded.length, 2 * ROUNDS);
    assert.ok(recorded.every((one) => !names(one).some((name) => name === 'x-before' || name === 'x-after')));
    const [one] = recorded;
    assert.ok(!JSON.stringify(one?.['answer']).includes('x-hello'), 'before a plugin changed it');
    assert.deepEqual([one?.['method'], one?.['path'], one?.['hasBody']], ['GET', '/orders', false]);
  });

  it('holds no key that a client sent, in Postgres or in an answer', async () => {
    const rows = await query(trial.database.url, 'SELECT request FROM recorded_requests');
    const shown = await replay({ version: '1.2.0' });

    assert.equal(rows.length, 2 * ROUNDS);
    const text = JSON.stringify([rows, recorded, shown]);
    assert.ok(!text.includes(KEY), text);
    assert.ok(JSON.stringify(rows).includes('["apikey","withheld"]'));
    assert.ok(recorded.some((one) => one['query'] === 'token=withheld'));
    assert.ok(JSON.stringify(shown['examples']).includes('"candidate":"withheld"'));
  });

  it('finds the requests in which a version does something else, with an example', async () => {
    const shown = await replay({ version: '1.1.0' });

    assert.deepEqual([shown['compared'], shown['differing'], shown['notRun']], [2 * ROUNDS, ROUNDS, 0]);
    assert.deepEqual(shown['kinds'], { 'response header x-hello changed': ROUNDS });
    const [example] = shown['examples'] as Shown[];
    assert.deepEqual(example?.['differences'], [
      {
        ...{ place: 'response header', name: 'x-hello', kind: 'changed' },
        ...{ installed: '1.0.0', candidate: '1.1.0' },
      },
    ]);
    const [candidate, installed] = [shown['candidate'] as Shown, shown['installed'] as Shown];
    assert.deepEqual([candidate['version'], installed['version']], ['1.1.0', '1.0.0']);
    assert.deepEqual([candidate['calls'], candidate['errors'], candidate['timeouts']], [2 * ROUNDS, 0, 0]);
    assert.ok(Number(candidate['totalMs']) > 0);
  });

  it('takes as many as it is told, and finds nothing in a version that does the same', async () => {
    const shown = await replay({ version: '1.0.0', count: 3, maxExamples: 0 });

    assert.deepEqual([shown['compared'], shown['differing'], shown['examples']], [3, 0, []]);
  });

  for (const [what, version, count] of [
    ['loops', '1.3.0', 'timeouts'],
    ['throws', '1.4.0', 'errors'],
  ] as const) {
    it(`ends also when the version ${what}, and says so`, async () => {
      const shown = await replay({ version, count: 3 });

      const candidate = shown['candidate'] as Shown;
      assert.ok(Number(candidate[count]) > 0, JSON.stringify(shown));
      assert.ok(Number((shown['kinds'] as Shown)['outcome changed']) > 0, JSON.stringify(shown));
      assert.equal((shown['installed'] as Shown)['errors'], 0);
      assert.equal(await trial.askWith({}), '1.0.0');
    });
  }

  it('is refused without an api, a version, or requests; with a configuration that does not fit; and to viewers', async () => {
    const { admin } = trial;
    await admin.call('POST', '/v1/apis', {
      name: 'quiet',
      upstream: 'http://127.0.0.1:1',
      routes: [{ paths: ['/q'] }],
    });
    const token = (await admin.call('POST', '/v1/tokens', { name: 'looks', role: 'viewer' })).body['token'];

    const refusals = await Promise.all(
      [
        { version: '1.1.0' },
        { version: '9.9.9', api: 'orders' },
        { version: '1.1.0', api: 'quiet' },
        { version: '1.1.0', api: 'orders', config: { greeting: 1 } },
        { version: '1.1.0', api: 'orders', count: 1_001 },
      ].map((body) => admin.tryCall('POST', REPLAY, body)),
    );
    const asViewer = await fetch(`${trial.product.urls.admin}${REPLAY}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${String(token)}`, 'content-type': 'application/json' },
      body: JSON.stringify({ version: '1.1.0', api: 'orders' }),
    });

    assert.deepEqual(
      refusals.map(({ status }) => status),
      [422, 422, 409, 422, 422],
    );
    assert.equal(asViewer.status, 403);
  });

  it('is of a version that is not installed as well, beside no plugin at all', async () => {
    const { admin } = trial;
    const { body } = await admin.call('GET', '/v1/bindings');
    for (const { id } of body['data'] as { id: string }[]) await admin.call('DELETE', `/v1/bindings/${id}`);
    await admin.call('DELETE', `${HELLO}?wait=applied`);

    const shown = await replay({ version: '1.1.0', config: {} });

    assert.equal(shown['installed'], null);
    assert.deepEqual(shown['kinds'], { 'response header x-hello added': 2 * ROUNDS });
  });

  it('is over when the requests are deleted', async () => {
    const { admin } = trial;

    const preview = await admin.call('DELETE', `${RECORDED}?dryRun=true`);
    assert.equal((await untilRecorded(2 * ROUNDS)).length, 2 * ROUNDS);
    const { status } = await admin.call('DELETE', RECORDED);

    const diff = [{ pointer: '', before: { count: 2 * ROUNDS } }];
    assert.deepEqual((preview.body['changes'] as Shown[])[0]?.['diff'], diff);
    assert.equal(status, 204);
    const { body } = await admin.call('GET', '/v1/audit?action=recorded-requests.delete');
    assert.deepEqual(
      (body['data'] as Shown[]).map((event) => [event['entityKind'], event['diff']]),
      [['api', diff]],
    );
    assert.deepEqual((await admin.call('GET', RECORDED)).body['data'], []);
    assert.equal((await admin.tryCall('POST', REPLAY, { version: '1.1.0', api: 'orders' })).status, 409);
  });
});
