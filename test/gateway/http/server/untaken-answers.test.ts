// Answers that their client does not take: given a minute without a byte, by one watch, whatever their size.
// Must not test bodies that nobody reads: unread-bodies.test.ts does.
import assert from 'node:assert/strict';
import { Socket } from 'node:net';
import { type Mock, mock } from 'node:test';
import { makePlugin, openRaw, type TestGateway } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { startTcpOrigin } from '../../../support/wire/origin.ts';

const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const LAST = 'GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n';
const BODY_BYTES = 4 * 1024;
/** More than the system keeps for a client that does not read. */
const BURST = 8_000;

describe('a small answer that its client does not take', () => {
  let stage: Stage;
  let gateway: TestGateway;
  let logged: number;
  let setTimeouts: Mock<Socket['setTimeout']>;

  beforeEach(async () => {
    stage = createStage();
    logged = 0;
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${BODY_BYTES}\r\n\r\n${'x'.repeat(BODY_BYTES)}`;
    const origin = await stage.open(startTcpOrigin((socket) => socket.write(answer)));
    gateway = await stage.publishWith(origin.url, makePlugin('log', { onLog: () => void logged++ }));
    setTimeouts = mock.method(Socket.prototype, 'setTimeout');
  });

  afterEach(async () => {
    setTimeouts.mock.restore();
    await stage.close();
  });

  const lastTimeout = (): unknown => setTimeouts.mock.calls.at(-1)?.arguments[0];

  it('is waited for a minute when it is asked for behind the one before, and taken late it is whole', async () => {
    const raw = await openRaw(gateway.port);
    raw.socket.pause();

    let asked = 0;
    while (lastTimeout() !== 60_000) {
      asked++;
      raw.write(GET);
      await until(() => logged === asked || lastTimeout() === 60_000);
    }
    raw.write(LAST);
    raw.socket.resume();
    const { text } = await raw.closed();

    assert.equal(text.split('HTTP/1.1 200 OK').length - 1, asked + 1);
    assert.equal(text.split('x'.repeat(BODY_BYTES)).length - 1, asked + 1);
    assert.equal(lastTimeout(), 0);
  });

  it('is waited for a minute when many are asked for at once, and then the connection is closed', async () => {
    const raw = await openRaw(gateway.port);
    raw.socket.pause();

    raw.write(GET.repeat(BURST));
    await until(() => lastTimeout() === 60_000);
    const call = setTimeouts.mock.calls.at(-1);
    assert.ok(call?.this instanceof Socket);
    call.this.emit('timeout');
    raw.socket.resume();
    const { text } = await raw.closed();

    assert.ok(text.split('HTTP/1.1 200 OK').length - 1 < BURST);
  });
});
