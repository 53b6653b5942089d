// What happens when either side breaks off, or never comes.
// Must not try again: targets.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Pool } from 'undici';
import type { Api } from '../../../../gateway/core/model.ts';
import { openRaw, type TestGateway } from '../../../support/engine.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { startRawOrigin, startTcpOrigin } from '../../../support/wire/origin.ts';

describe('proxying breaking off', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  const publish = (upstream: string, api: Partial<Api> = {}): Promise<TestGateway> =>
    stage.publish(upstream, { route: { paths: ['/api'] }, api });

  it('closes the upstream request when the client leaves, before the head and in mid-body', async () => {
    const gone: Promise<unknown>[] = [];
    const origin = await stage.open(
      startRawOrigin((request, response) => {
        gone.push(once(response, 'close'));
        if (request.url === '/body') response.write('first');
      }),
    );
    const gateway = await publish(origin.url);

    for (const path of ['/head', '/body']) {
      const raw = await openRaw(gateway.port);
      raw.write(`GET /api${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
      if (path === '/body') await raw.waitFor(/first/);
      else await until(() => gone.length === 1);
      raw.socket.destroy();
    }

    await Promise.all(gone);
    assert.equal(gone.length, 2);
  });

  const BROKEN: readonly (readonly [string, string])[] = [
    ['a length that is not reached', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'],
    ['chunks without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n'],
  ];
  for (const [what, bytes] of BROKEN) {
    for (const how of ['end', 'reset'] as const) {
      it(`shows the client an aborted message on ${what} and a ${how}`, async () => {
        const origin = await stage.open(
          startTcpOrigin((socket) => {
            socket.write(bytes, () => (how === 'end' ? socket.end() : socket.resetAndDestroy()));
          }),
        );
        const gateway = await publish(origin.url, { retries: { attempts: 0 } });
        const pool = new Pool(gateway.url);
        stage.keep(() => pool.destroy());

        const read = pool.request({ path: '/api', method: 'POST' }).then(({ body }) => body.text());

        await assert.rejects(read);
      });
    }
  }

  it('answers 502 when the upstream breaks off before its head is whole, or sends what is no HTTP', async () => {
    for (const bytes of [
      '',
      'HTTP/1.1 200 OK\r\nContent-Le',
      'nonsense\r\n\r\n',
      'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
    ]) {
      const origin = await stage.open(startTcpOrigin((socket) => socket.end(bytes)));
      const gateway = await publish(origin.url, { retries: { attempts: 0 } });

      const response = await fetch(`${gateway.url}/api`, { method: 'POST' });

      assert.equal(response.status, 502, JSON.stringify(bytes));
      assert.doesNotMatch(await response.text(), /nonsense|127\.0\.0\.1/);
    }
  });

  it('answers 502 when nothing listens, 504 when the head does not come in time', async () => {
    const nobody = await startTcpOrigin(() => undefined);
    await nobody.close();
    const silent = await stage.open(startTcpOrigin(() => undefined));
    const refused = await publish(nobody.url);
    const slow = await publish(silent.url, { timeouts: { connectMs: 1000, responseMs: 300, idleMs: 1000 } });

    const [first, second] = await Promise.all([fetch(`${refused.url}/api`), fetch(`${slow.url}/api`)]);

    assert.deepEqual([first.status, second.status], [502, 504]);
    assert.deepEqual([await readCode(first), await readCode(second)], ['UPSTREAM_CONNECT_FAILED', 'UPSTREAM_TIMEOUT']);
  });
});

async function readCode(response: Response): Promise<string> {
  const problem = (await response.json()) as { readonly code: string };
  return problem.code;
}
