// Frames of a wrong size, which end a process with an nghttp2 below 1.68.1 (CVE-2026-27135), toward a gateway in a process of its own.
// Must not run that gateway here: a failure would take the other tests along.
import assert from 'node:assert/strict';
import {
  FLAG,
  FRAME,
  type FrameClient,
  frame,
  headersFrame,
  openFrames,
  requestLines,
} from '../../../support/wire/h2-frames.ts';
import { type FrameOrigin, startFrameOrigin } from '../../../support/wire/h2-origin.ts';
import { type HeldGateway, holdGateway, sendCut, sendPieces } from './held-gateway.ts';

/** Many connections, one after the other. */
const TIMEOUT_MS = 60_000;
const FRAME_SIZE_ERROR = 6;
const ALTSVC = 10;

/** From RFC 9113 section 6: each is refused for its size alone. */
const WRONG: readonly (readonly [string, Buffer])[] = [
  ['PING', frame(FRAME.ping, 0, 0)],
  ['SETTINGS', frame(FRAME.settings, 0, 0, Buffer.alloc(5))],
  ['an acknowledgement', frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(6))],
  ['PRIORITY', frame(FRAME.priority, 0, 3)],
  ['RST_STREAM', frame(FRAME.reset, 0, 1)],
  ['WINDOW_UPDATE', frame(FRAME.window, 0, 0)],
  ['GOAWAY', frame(FRAME.goaway, 0, 0)],
  ['PUSH_PROMISE', frame(FRAME.push, 0, 1)],
  ['HEADERS', frame(FRAME.headers, FLAG.priority | FLAG.endHeaders, 3)],
];

// node:http2 ends the session from within the callback for HEADERS, which nghttp2 1.61 forgets: it reads on.
const KILLER = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(FRAME.settings, 0, 0),
  frame(FRAME.goaway, 0, 0, Buffer.alloc(8)),
  // GET, http, /, and h as :authority. RFC 7541 appendix A.
  frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 1, Buffer.from([0x82, 0x86, 0x84, 0x41, 1, 0x68])),
]);

describe('HTTP/2 frames of a wrong size', function () {
  this.timeout(TIMEOUT_MS);
  let target: FrameOrigin;
  let answer: readonly Buffer[];
  let gateway: HeldGateway;
  let client: FrameClient;

  before(async () => {
    target = await startFrameOrigin(({ type, flags }, socket) => {
      if (type === FRAME.settings && (flags & FLAG.ack) === 0) socket.write(frame(FRAME.settings, 0, 0));
      if (type === FRAME.headers) socket.write(Buffer.concat(answer));
    });
    gateway = await holdGateway(target.url);
  });
  beforeEach(async () => {
    client = await openFrames(gateway.port);
  });
  afterEach(() => client.close());
  after(async () => {
    await gateway.close();
    await target.close();
  });

  for (const [name, wrong] of WRONG) {
    it(`are answered with goaway: ${name}`, async () => {
      client.send(wrong);

      assert.equal(await client.outcome(0), `goaway ${FRAME_SIZE_ERROR}`);
      await gateway.checkAlive();
    });

    it(`are not read behind the end of a session: ${name}`, async () => {
      await sendCut(gateway.port, Buffer.concat([KILLER, wrong]), 0);

      await gateway.checkAlive();
    });
  }

  it('are not read wherever the bytes are cut', async () => {
    const bytes = Buffer.concat([KILLER, frame(FRAME.ping, 0, 0)]);

    await Promise.all(Array.from(bytes, (_byte, at) => sendCut(gateway.port, bytes, at)));

    await gateway.checkAlive();
  });

  it('are not read when the bytes come one by one', async () => {
    const bytes = Buffer.concat([KILLER, frame(FRAME.ping, 0, 0)]);

    await sendPieces(
      gateway.port,
      Array.from(bytes, (byte) => Buffer.from([byte])),
    );

    await gateway.checkAlive();
  });

  for (const [name, wrong] of [...WRONG, ['ALTSVC', frame(ALTSVC, 0, 0, Buffer.from([0, 9]))] as const]) {
    it(`of a target end its requests: ${name}`, async () => {
      answer = [wrong];
      client.send(headersFrame(1, requestLines({ ':path': '/h2c' })));

      // A newer node:http2 does not tell what it found, and the time for the answer passes.
      assert.match(await client.outcome(1), /^status 50[24]$/);
      await gateway.checkAlive();
    });
  }

  it('of a target do not take an answer that came before along', async () => {
    answer = [frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, Buffer.from([0x88])), frame(FRAME.ping, 0, 0)];
    client.send(headersFrame(1, requestLines({ ':path': '/h2c' })));

    assert.equal(await client.outcome(1), 'status 200');
    await gateway.checkAlive();
  });
});
