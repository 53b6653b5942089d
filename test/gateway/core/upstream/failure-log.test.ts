// Why a request found no answer at its upstream stands in the log, under the id that the client was given.
// Must not test what the client is told: faults.test.ts does.
import assert from 'node:assert/strict';
import { performance } from 'node:perf_hooks';
import { mock } from 'node:test';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

describe('the log of failures of upstreams', () => {
  let stage: Stage;

  beforeEach(() => {
    stage = createStage();
  });

  afterEach(async () => {
    mock.restoreAll();
    await stage.close();
  });

  it('names the request, the target and the reason', async () => {
    const origin = await startTcpOrigin(() => undefined);
    await origin.close();
    const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 0 } } });

    const answer = await fetch(gateway.url);
    const { requestId } = (await answer.json()) as { readonly requestId: string };
    const [line] = gateway.log.filter(({ level }) => level === 'warn');

    assert.equal(answer.status, 502);
    assert.equal(line?.fields['exchange'], requestId);
    assert.equal(line?.fields['target'], `127.0.0.1:${new URL(origin.url).port}`);
    assert.equal(line?.fields['code'], 'UPSTREAM_CONNECT_FAILED');
    assert.match(String(line?.fields['reason']), /ECONNREFUSED/);
  });

  it('says it once a second, and then how often it was', async () => {
    const origin = await startTcpOrigin((socket) => socket.write('nonsense\r\n\r\n'));
    const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 0 } } });

    for (let count = 0; count < 4; count++) await (await fetch(gateway.url)).text();
    const now = performance.now.bind(performance);
    mock.method(performance, 'now', () => now() + 1_001);
    await (await fetch(gateway.url)).text();
    await origin.close();

    const lines = gateway.log.filter(({ level }) => level === 'warn');
    assert.deepEqual(
      lines.map(({ fields }) => fields['unsaid']),
      [undefined, 3],
    );
  });
});
