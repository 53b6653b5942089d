// Which requests are recorded, and what of them.
import assert from 'node:assert/strict';
import type { RecordedRequest } from '../../../gateway/core/shadow/recorded.ts';
import { createRecorder, type RequestRecorder } from '../../../gateway/ops/recorder.ts';
import { fakeClock } from '../../../gateway/testing/clock.ts';
import { fakeConsumers } from '../../../gateway/testing/consumers.ts';
import { type ExchangeOptions, fakeExchange } from '../../../gateway/testing/exchange.ts';

const KEY = 'sk-live-4f9a77c2e1';

describe('the recorder of requests', () => {
  const clock = fakeClock();
  let recorder: RequestRecorder;
  let delivered: Promise<readonly RecordedRequest[]>;

  beforeEach(() => {
    delivered = new Promise((resolve) => {
      recorder = createRecorder(clock, resolve, 1);
    });
  });

  afterEach(() => recorder.close());

  /** Gives how many of so many requests in one moment are recorded. */
  function recordAll(count: number, perSecond: number, options: ExchangeOptions = {}): number {
    const all = Array.from({ length: count }, () => recorder.begin(fakeExchange(options), perSecond));
    for (const one of all) one?.end();
    return all.filter((one) => one !== undefined).length;
  }

  it('takes no more of an api in a second than it may, and begins anew in the next', () => {
    assert.equal(recordAll(20, 3), 3);
    assert.equal(recordAll(20, 3, { api: { id: 'other', name: 'other' } }), 3);
    clock.advance(1_000);
    assert.equal(recordAll(20, 3), 3);
  });

  it('keeps a request as it came, with who called, and what the upstream answered', async () => {
    const identity = fakeConsumers({
      username: 'alice',
      groups: ['gold'],
      credentials: [{ type: 'key-auth', key: 'k' }],
    });
    const headers = { 'content-type': 'application/json', apikey: KEY };
    const exchange = fakeExchange({ method: 'PUT', path: '/orders/7', query: `token=${KEY}`, headers, body: KEY });
    const recording = recorder.begin(exchange, 1);
    exchange.request.path = '/changed';
    exchange.request.headers.set('x-added', '1');
    exchange.identify(identity.identityOf('alice'));
    recording?.takeAnswer(
      201,
      fakeExchange({ headers: { 'set-cookie': KEY, 'content-type': 'text/plain' } }).request.headers,
    );

    recording?.end();

    const [one] = await delivered;
    assert.ok(!JSON.stringify(one).includes(KEY));
    assert.deepEqual(one, {
      atMs: clock.wallMs(),
      api: exchange.api,
      route: exchange.route,
      httpVersion: '1.1',
      scheme: 'http',
      method: 'PUT',
      host: 'api.test',
      path: '/orders/7',
      query: 'token=withheld',
      headers: [
        ['content-type', 'application/json'],
        ['apikey', 'withheld'],
      ],
      hasBody: true,
      answer: {
        status: 201,
        headers: [
          ['set-cookie', 'withheld'],
          ['content-type', 'text/plain'],
        ],
      },
      consumer: { username: 'alice', groups: ['gold'] },
    } satisfies RecordedRequest);
  });

  it('keeps no more than it can deliver', async () => {
    for (let second = 0; second < 30; second++) {
      recordAll(10, 10);
      clock.advance(1_000);
    }

    assert.equal((await delivered).length, 100);
  });
});
