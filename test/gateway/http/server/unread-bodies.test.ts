// Bodies that nobody waits for: read within bounds behind the answer, or the connection is closed; never taken for a request.
// Must not test bodies that are read: messages.test.ts does.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { mock } from 'node:test';
import { Linger } from '../../../../gateway/http/h1/linger.ts';
import { makePlugin, openRaw, type RawClient, type TestGateway } from '../../../support/engine.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { startTcpOrigin, type TcpOrigin } from '../../../support/wire/origin.ts';

const KB = 1024;
const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n';
const PROBE = 'GET /probe HTTP/1.1\r\nHost: h\r\n\r\n';

function countAnswers(text: string): number {
  return text.split('HTTP/1.1 ').length - 1;
}

describe('a body that nobody reads', () => {
  let stage: Stage;
  let logged: string[];
  let gateway: TestGateway;
  let origin: TcpOrigin;
  let onData: (socket: Socket, text: string) => void;
  let answer: (() => void) | undefined;

  beforeEach(async () => {
    stage = createStage();
    logged = [];
    onData = (socket, text) => {
      if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    };
    answer = undefined;
    origin = await stage.open(startTcpOrigin((socket, text) => onData(socket, text)));
    gateway = await stage.publishWith(
      origin.url,
      makePlugin('guard', {
        onRequest: async (exchange) => {
          if (exchange.request.path === '/late')
            await new Promise<void>((resolve) => {
              answer = resolve;
            });
          if (exchange.request.path === '/large') exchange.respond(401, {}, Buffer.alloc(8 * KB * KB, 'n'));
          else if (exchange.request.path !== '/probe' && exchange.request.path !== '/pass')
            exchange.respond(401, {}, 'no');
        },
        onLog: ({ request }) => void logged.push(request.path),
      }),
    );
  });

  afterEach(() => stage.close());

  async function send(...pieces: readonly string[]): Promise<RawClient> {
    const raw = await openRaw(gateway.port);
    for (const piece of pieces) raw.write(piece);
    return raw;
  }

  async function answersOthers(): Promise<void> {
    const other = await send(PROBE);
    await other.waitFor(/^HTTP\/1\.1 200 [\s\S]*ok$/);
    other.socket.destroy();
  }

  for (const [framing, body] of [
    [`Content-Length: ${SMUGGLED.length}`, SMUGGLED],
    ['Transfer-Encoding: chunked', `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`],
  ] as const) {
    it(`is read over, and the next request on the connection is answered (${framing.split(':', 1)})`, async () => {
      const raw = await send(`POST / HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n${body}${PROBE}`);

      const text = await raw.waitFor(/ok$/);

      assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 401', 'HTTP/1.1 200']);
      assert.doesNotMatch(origin.received(), /smuggled/);
      raw.socket.destroy();
    });

    it(`is read over also when it comes behind the answer (${framing.split(':', 1)})`, async () => {
      const raw = await send(`POST / HTTP/1.1\r\nHost: h\r\n${framing}\r\n\r\n`);
      await raw.waitFor(/no$/);

      for (const piece of body.match(/[\s\S]{1,5}/g) ?? []) raw.write(piece);
      raw.write(PROBE);
      const text = await raw.waitFor(/ok$/);

      assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 401', 'HTTP/1.1 200']);
      assert.doesNotMatch(origin.received(), /smuggled/);
      raw.socket.destroy();
    });
  }

  it('that turns out to be malformed behind its answer closes the connection without another answer', async () => {
    const raw = await send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    await raw.waitFor(/no$/);

    raw.write(`zz\r\n${SMUGGLED}`);
    const { text } = await raw.closed();

    assert.equal(countAnswers(text), 1, text);
    await answersOthers();
  });

  it('says before that the connection closes, when more is left than is worth reading', async () => {
    const raw = await send(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ${300 * KB}\r\n\r\n${SMUGGLED}`);

    const { text } = await raw.closed();

    assert.match(text, /^HTTP\/1\.1 401 [\s\S]*\r\nConnection: close\r\n/);
    assert.equal(countAnswers(text), 1);
  });

  it('says so also when the upstream answers early', async () => {
    onData = (socket) => socket.write('HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno');
    const raw = await send(`POST /pass HTTP/1.1\r\nHost: h\r\nContent-Length: ${300 * KB}\r\n\r\n${SMUGGLED}`);

    const { text } = await raw.closed();

    assert.match(text, /^HTTP\/1\.1 413 [\s\S]*\r\nConnection: close\r\n/);
    assert.equal(countAnswers(text), 1);
  });

  it('closes the connection once too much of it came in chunks, behind the whole answer', async () => {
    const raw = await send('POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    await raw.waitFor(/no$/);

    raw.write(`${(300 * KB).toString(16)}\r\n${'x'.repeat(300 * KB)}\r\n0\r\n\r\n${PROBE}`);
    const { text } = await raw.closed();

    assert.equal(countAnswers(text), 1);
  });

  it('does not cut off an answer that the client takes slowly, and the exchange ends', async () => {
    const raw = await send('POST /large HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n');
    raw.socket.pause();
    for (let count = 0; count < 64; count++) raw.write(`${(16 * KB).toString(16)}\r\n${'x'.repeat(16 * KB)}\r\n`);
    await until(() => raw.socket.writableLength === 0);
    raw.socket.resume();

    const { text } = await raw.closed();

    assert.equal(text.length - text.indexOf('\r\n\r\n') - 4, 8 * KB * KB);
    assert.deepEqual(logged, ['/large']);
  });

  it('held back until a slow plugin answers is not taken for a request', async () => {
    const raw = await send(
      `POST /late HTTP/1.1\r\nHost: h\r\nContent-Length: ${100 * KB}\r\n\r\n${'x'.repeat(100 * KB)}${PROBE}`,
    );
    await until(() => answer !== undefined && raw.socket.writableLength === 0);

    answer?.();
    const text = await raw.waitFor(/ok$/);

    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 401', 'HTTP/1.1 200']);
    raw.socket.destroy();
  });

  it('is waited for as long as it comes, up to half a minute', () => {
    let nowMs = 1_000;
    const { mock: clock } = mock.method(performance, 'now', () => nowMs);
    const linger = new Linger();

    const deadlines = [linger.begin()];
    for (nowMs of [2_500, 29_500]) deadlines.push(linger.goOn());
    clock.restore();

    assert.deepEqual(deadlines, [3_000, 4_500, 31_000]);
  });
});
