// Connections while the listener drains: nothing that was asked is lost, and nothing stays open.
// Must not test processes: node-lifecycle.test.ts does.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { openRaw } from '../../../support/engine.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';

describe('draining', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  it('ends a connection whose answer had begun before, behind that answer', async () => {
    let target: Socket | undefined;
    const origin = await stage.open(
      startTcpOrigin((socket) => {
        target = socket;
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbe');
      }),
    );
    const gateway = await stage.publish(origin.url);
    const raw = await openRaw(gateway.port);
    raw.write(GET);
    await raw.waitFor(/be$/);

    const drained = gateway.drain();
    // Beyond the time that idle connections get.
    await new Promise((resolve) => setTimeout(resolve, 1_300));
    target?.write('en');
    const { text, hadReset } = await raw.closed();

    assert.match(text, /been$/);
    assert.equal(hadReset, false);
    await drained;
  });

  it('answers what was pipelined before, and says on it that the connection closes', async () => {
    const answers: (() => void)[] = [];
    const origin = await stage.open(
      startTcpOrigin((socket) => {
        answers.push(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
        if (answers.length === 1) socket.write('HTTP/1.1 103 Early Hints\r\n\r\n');
      }),
    );
    const gateway = await stage.publish(origin.url);
    const raw = await openRaw(gateway.port);
    raw.write(GET + GET);
    await raw.waitFor(/103/);

    const drained = gateway.drain();
    answers[0]?.();
    const { text } = await raw.closed();

    assert.match(text, /HTTP\/1\.1 200 [\s\S]*\r\nConnection: close\r\n[\s\S]*ok$/);
    await drained;
  });

  it('answers a request that comes in the first moments, and gives half a head no more than those', async () => {
    const origin = await stage.open(
      startTcpOrigin((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')),
    );
    const gateway = await stage.publish(origin.url);
    const [late, half] = [await openRaw(gateway.port), await openRaw(gateway.port)];
    // Both have been seen.
    await until(() => late.socket.readyState === 'open' && half.socket.readyState === 'open');
    late.write(GET);
    await late.waitFor(/ok$/);

    const drained = gateway.drain();
    const began = performance.now();
    late.write(GET);
    half.write('GET / HTTP/1.1\r\nHo');
    const [answered, cut] = await Promise.all([late.closed(), half.closed()]);
    await drained;

    assert.match(answered.text, /ok[\s\S]*\r\nConnection: close\r\n[\s\S]*ok$/);
    assert.match(cut.text, /^(?:|HTTP\/1\.1 408 [\s\S]*)$/);
    assert.ok(performance.now() - began < 1_800);
  });
});
