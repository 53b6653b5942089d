// A client that leaves, in each phase of its request: the upstream is released at once, and the exchange ends exactly once.
// Must not test what is answered to those who stay: connection.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { makePlugin, openRaw, type RawClient, type TestGateway } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { startTcpOrigin, type TcpOrigin } from '../../../support/wire/origin.ts';

/** 100 ms, and what a busy machine adds. */
const SOON_MS = 250;
const GET = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
const POST = 'POST / HTTP/1.1\r\nHost: h\r\n';
const MB = 1024 * 1024;

/** Is one phase: what the client has sent by then, and how far the upstream is. */
interface Phase {
  readonly sent: string;
  /** Runs when the upstream has heard something. */
  onData?(socket: Socket, text: string): void;
  /** Says that the phase is reached. */
  readonly isReached: (origin: TcpOrigin, raw: RawClient) => boolean;
}

const hasHeard =
  (text: string) =>
  (origin: TcpOrigin): boolean =>
    origin.received().includes(text);

const PHASES: Readonly<Record<string, Phase>> = {
  'before the head of the answer': { sent: GET, isReached: hasHeard('GET /') },
  'in the answer': {
    sent: GET,
    onData: (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel'),
    isReached: (_, raw) => raw.text().endsWith('hel'),
  },
  'in its body': { sent: `${POST}Content-Length: 9\r\n\r\nabc`, isReached: hasHeard('abc') },
  'in a chunk of its body': { sent: `${POST}Transfer-Encoding: chunked\r\n\r\n9\r\nabc`, isReached: hasHeard('abc') },
  'while leave to send is asked for': {
    sent: `${POST}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n`,
    isReached: hasHeard('Expect: 100-continue\r\n\r\n'),
  },
  'behind a body that was sent whole': { sent: `${POST}Content-Length: 3\r\n\r\nabc`, isReached: hasHeard('abc') },
  'with requests waiting behind': { sent: GET.repeat(100), isReached: hasHeard('GET /') },
  'with more waiting behind than is read ahead': { sent: GET.repeat(4_000), isReached: hasHeard('GET /') },
};

describe('a client that leaves', () => {
  let stage: Stage;
  let logged: number;
  let gateway: TestGateway;
  let origin: TcpOrigin;
  let onData: (socket: Socket, text: string) => void;

  beforeEach(async () => {
    stage = createStage();
    logged = 0;
    onData = () => undefined;
    origin = await stage.open(startTcpOrigin((socket, text) => onData(socket, text)));
    gateway = await stage.publishWith(origin.url, makePlugin('log', { onLog: () => void logged++ }));
  });

  afterEach(() => stage.close());

  async function leave(raw: RawClient, how: 'end' | 'reset'): Promise<number> {
    const [target] = origin.connections;
    assert.ok(target);
    const closed = once(target, 'close');
    const began = performance.now();
    if (how === 'end') raw.socket.destroy();
    else raw.socket.resetAndDestroy();
    await closed;
    await until(() => logged > 0);
    return performance.now() - began;
  }

  for (const [phase, { sent, isReached, ...more }] of Object.entries(PHASES)) {
    for (const how of ['end', 'reset'] as const) {
      // An end behind bytes that were not read yet has not arrived: nobody can see it.
      if (how === 'end' && phase.includes('more waiting')) continue;
      it(`${phase} by ${how} releases the upstream at once`, async () => {
        onData = more.onData ?? onData;
        const raw = await openRaw(gateway.port);
        raw.write(sent);
        await until(() => isReached(origin, raw));

        const tookMs = await leave(raw, how);

        assert.ok(tookMs < SOON_MS, `took ${tookMs} ms`);
        assert.equal(logged, 1);
      });
    }
  }

  it('by reset, in a body that the upstream does not take, releases it at once', async () => {
    onData = (socket) => socket.pause();
    const raw = await openRaw(gateway.port);
    raw.write(`${POST}Content-Length: ${100 * MB}\r\n\r\n`);
    // More than all buffers on the way hold.
    for (let sent = 0; sent < 30; sent++) raw.write('x'.repeat(MB));
    await until(() => raw.socket.bytesWritten > MB);
    await new Promise((resolve) => setTimeout(resolve, 300));

    const [target] = origin.connections;
    assert.ok(target);
    const began = performance.now();
    raw.socket.resetAndDestroy();
    await until(() => logged > 0);
    const tookMs = performance.now() - began;

    assert.ok(tookMs < SOON_MS, `took ${tookMs} ms`);
  });

  it('behind a body whose last bytes the upstream took slowly, is seen', async () => {
    // The last piece meets a full buffer.
    onData = (socket, text) => {
      if (text.length > MB) return;
      socket.pause();
      setTimeout(() => socket.resume(), 10).unref();
    };
    const size = 3 * MB;
    const raw = await openRaw(gateway.port);
    raw.write(`${POST}Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`);
    await until(() => origin.received().length > size);

    const tookMs = await leave(raw, 'end');

    assert.ok(tookMs < SOON_MS, `took ${tookMs} ms`);
    assert.equal(logged, 1);
  });

  it('with few requests waiting behind many that were answered, is seen', async () => {
    let answered = 0;
    onData = (socket) => {
      answered++;
      if (answered < 3_000) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    };
    const raw = await openRaw(gateway.port);
    raw.write(GET.repeat(4_000));
    await until(() => answered === 3_000);

    const tookMs = await leave(raw, 'end');

    assert.ok(tookMs < SOON_MS, `took ${tookMs} ms`);
  });
});
