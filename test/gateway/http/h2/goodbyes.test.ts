// Requests behind a client's GOAWAY, toward a gateway in a process of its own: node:http2 itself refuses them in a way that
// frees what nghttp2 still uses.
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
import { type HeldGateway, holdGateway, sendCut } from './held-gateway.ts';

/** Many connections, one after the other. */
const TIMEOUT_MS = 60_000;
/** Without endLate the process was gone after 2 to 4. */
const ROUNDS = 20;

const GOAWAY = frame(FRAME.goaway, 0, 0, Buffer.alloc(8));
const PREFACE = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(FRAME.settings, 0, 0)]);

describe('HTTP/2 requests behind a GOAWAY of the client', function () {
  this.timeout(TIMEOUT_MS);
  let gateway: HeldGateway;
  let client: FrameClient;

  before(async () => {
    gateway = await holdGateway('http://127.0.0.1:1');
  });
  beforeEach(async () => {
    client = await openFrames(gateway.port);
  });
  afterEach(() => client.close());
  after(() => gateway.close());

  it('are not looked at, which the answer to the GOAWAY says', async () => {
    client.send(Buffer.concat([GOAWAY, headersFrame(1, requestLines())]));

    const goodbye = await client.waitFor(({ type }) => type === FRAME.goaway);
    assert.equal(goodbye?.payload.readUInt32BE(0), 0);
    await client.closed();
    assert.equal(await client.waitFor(({ type }) => type === FRAME.headers), undefined);
    await gateway.checkAlive();
  });

  it('are not looked at while one before it goes on', async () => {
    client.send(headersFrame(1, requestLines({ ':method': 'POST' }), FLAG.endHeaders));
    client.send(Buffer.concat([GOAWAY, headersFrame(3, requestLines())]));

    const goodbye = await client.waitFor(({ type }) => type === FRAME.goaway);
    assert.equal(goodbye?.payload.readUInt32BE(0), 1);
    client.send(frame(FRAME.data, FLAG.endStream, 1, Buffer.from('late')));
    assert.ok(await client.waitFor(({ type, stream }) => type === FRAME.headers && stream === 1));
    await client.closed();
    assert.equal(await client.waitFor(({ stream }) => stream === 3), undefined);
  });

  it('leave those before it whole', async () => {
    client.send(Buffer.concat([headersFrame(1, requestLines()), GOAWAY]));

    const goodbye = await client.waitFor(({ type }) => type === FRAME.goaway);
    assert.equal(goodbye?.payload.readUInt32BE(0), 1);
    const answer = await client.waitFor(({ type, stream }) => type === FRAME.headers && stream === 1);
    assert.ok(answer);
    await client.closed();
  });

  it('find the connection closed when there was none', async () => {
    client.send(GOAWAY);

    await client.closed();
    await gateway.checkAlive();
  });

  it('harm nobody wherever the bytes are cut', async () => {
    const bytes = Buffer.concat([PREFACE, GOAWAY, headersFrame(1, requestLines())]);

    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(Array.from(bytes, (_byte, at) => sendCut(gateway.port, bytes, at)));
    }

    await gateway.checkAlive();
  });
});
