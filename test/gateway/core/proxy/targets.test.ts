// Which target gets a request, and when another one gets it too.
// Must not look at what is sent: requests.test.ts does.
import assert from 'node:assert/strict';
import type { Api } from '../../../../gateway/core/model.ts';
import { startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeRoute, makeUpstream, putAll } from '../../../support/entities.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { type Origin, startOrigin, startTcpOrigin, type TcpOrigin } from '../../../support/wire/origin.ts';

describe('proxying trying again', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  const publish = (upstream: string, api: Partial<Api> = {}): Promise<TestGateway> =>
    stage.publish(upstream, { route: { paths: ['/api'] }, api });

  /** Answers the first request on each connection and resets the connection on the second. */
  function startFlakyOrigin(): Promise<TcpOrigin> {
    return stage.open(
      startTcpOrigin((socket, text) => {
        const requests = text.split('\r\n\r\n').length - 1;
        if (requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        else socket.resetAndDestroy();
      }),
    );
  }

  it('sends an idempotent request again when a kept-alive connection was closed under it', async () => {
    const origin = await startFlakyOrigin();
    const gateway = await publish(origin.url);

    const statuses: number[] = [];
    for (let count = 0; count < 6; count++) {
      const response = await fetch(`${gateway.url}/api`);
      statuses.push(response.status);
      await response.text();
    }

    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200]);
  });

  it('never sends a POST twice', async () => {
    const origin = await startFlakyOrigin();
    const gateway = await publish(origin.url, { retries: { attempts: 5 } });

    for (let count = 0; count < 6; count++) {
      await (await fetch(`${gateway.url}/api/${count}`, { method: 'POST', body: 'x' })).text();
    }

    for (let count = 0; count < 6; count++) {
      assert.equal(origin.received().split(`POST /${count} `).length - 1, 1, `request ${count}`);
    }
  });

  it('takes another target when one refuses the connection, also for a POST', async () => {
    const nobody = await startTcpOrigin(() => undefined);
    await nobody.close();
    const origin = await stage.open(startOrigin());
    const gateway = await stage.open(startGateway());
    const targets = [nobody.port, origin.port].map((port) => ({ host: '127.0.0.1', port, weight: 1 }));
    const api = makeApi({ name: 'api', upstream: { name: 'pair' }, routes: [makeRoute({ paths: ['/'] })] });
    await gateway.apply(putAll({ upstreams: [makeUpstream({ name: 'pair', targets })], apis: [api] }));

    const statuses = await Promise.all(
      Array.from({ length: 8 }, async () => (await fetch(gateway.url, { method: 'POST', body: 'x' })).status),
    );

    assert.deepEqual(new Set(statuses), new Set([200]));
    assert.equal(origin.seen.length, 8);
  });
});

describe('proxying balancing', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  it('shares requests by weight and gives nothing to weight 0', async () => {
    const origins: Origin[] = [];
    for (let count = 0; count < 3; count++) origins.push(await stage.open(startOrigin()));
    const weights = [3, 1, 0];
    const targets = origins.map(({ port }, index) => ({ host: '127.0.0.1', port, weight: weights[index] ?? 0 }));
    const gateway = await stage.open(startGateway());
    const api = makeApi({ name: 'api', upstream: { name: 'three' }, routes: [makeRoute({ paths: ['/'] })] });
    await gateway.apply(putAll({ upstreams: [makeUpstream({ name: 'three', targets })], apis: [api] }));

    for (let count = 0; count < 40; count++) await (await fetch(gateway.url)).text();

    assert.deepEqual(
      origins.map(({ seen }) => seen.length),
      [30, 10, 0],
    );
  });

  it('answers 503 when an upstream has no target', async () => {
    const gateway = await stage.open(startGateway());
    const api = makeApi({ name: 'api', upstream: { name: 'none' }, routes: [makeRoute({ paths: ['/'] })] });
    await gateway.apply(putAll({ upstreams: [makeUpstream({ name: 'none' })], apis: [api] }));

    const response = await fetch(gateway.url);

    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '1');
  });
});
