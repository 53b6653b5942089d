// Sessions of node:http2 behind the guard, on both sides, also with versions of Node that go without it.
// Must not use the gateway.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  type Http2Session,
  performServerHandshake,
  type ServerHttp2Session,
} from 'node:http2';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { needsGuard, openGuarded } from '../../../../gateway/http/h2/guarded-session.ts';
import { FLAG, FRAME, frame, headersFrame, openFrames, packNumber, requestLines } from '../../../support/h2-frames.ts';

const BODY = 'a body that is longer than one read of a socket '.repeat(8_000);

describe('needsGuard', () => {
  for (const [version, expected] of [
    ['1.61.0', true],
    ['1.68.0', true],
    ['1.68.1', false],
    ['1.70.0', false],
    ['2.0.0', false],
    ['0.99.9', true],
    ['unknown', true],
    [undefined, true],
  ] as const) {
    it(`says ${expected} for ${version}`, () => {
      assert.equal(needsGuard(version), expected);
    });
  }
});

describe('openGuarded', () => {
  let server: Server;
  let port: number;
  let session: ServerHttp2Session;
  let accepted: Socket;
  const opened: Http2Session[] = [];

  beforeEach(async () => {
    server = createServer({ allowHalfOpen: true }, (socket) => {
      accepted = socket;
      socket.on('error', () => undefined);
      session = openGuarded(socket, 'client', (stream) => performServerHandshake(stream));
      session.on('error', () => undefined);
      session.on('stream', (stream) => {
        stream.on('error', () => undefined);
        if (stream.destroyed) return;
        stream.respond({ ':status': 200 });
        stream.pipe(stream);
      });
      server.emit('opened');
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterEach(async () => {
    for (const one of opened.splice(0)) one.destroy();
    accepted.destroy();
    await new Promise((resolve) => server.close(resolve));
  });

  /** Opens a client whose session is guarded too. */
  async function openClient(): Promise<ReturnType<typeof connectHttp2>> {
    const socket = connect(port, '127.0.0.1');
    await Promise.all([once(socket, 'connect'), once(server, 'opened')]);
    const client = openGuarded(socket, 'target', (stream) =>
      connectHttp2('http://h', { createConnection: () => stream }),
    );
    client.on('error', () => undefined);
    opened.push(client);
    return client;
  }

  it('carries bodies both ways', async () => {
    const client = await openClient();
    const streams = [1, 2, 3].map(() => client.request({ ':method': 'POST' }));
    for (const stream of streams) stream.end(BODY);

    const answers = await Promise.all(streams.map((stream) => text(stream)));

    for (const answer of answers) assert.ok(answer === BODY);
  });

  it('answers a frame of a wrong size with goaway and closes, while answers are being written', async () => {
    const client = await openFrames(port);
    client.send(headersFrame(1, requestLines({ ':method': 'POST' }), FLAG.endHeaders));
    client.send(frame(FRAME.data, 0, 1, Buffer.alloc(9_000)), frame(FRAME.ping, 0, 0));

    const goaway = await client.waitFor(({ type }) => type === FRAME.goaway);
    await client.closed();

    assert.deepEqual(goaway?.payload.subarray(0, 8), Buffer.concat([packNumber(1), packNumber(6)]));
    assert.ok(session.destroyed);
  });

  it('tells a session that its socket was reset', async () => {
    const client = await openFrames(port);
    await client.waitFor(({ type }) => type === FRAME.settings);
    const closed = new Promise((resolve) => session.once('close', resolve));

    client.socket.resetAndDestroy();

    await closed;
    assert.ok(accepted.destroyed);
  });

  it('closes a client whose server is gone, and its streams with an error', async () => {
    const client = await openClient();
    const stream = client.request({ ':method': 'POST' });
    stream.on('error', () => undefined);
    const ended = new Promise((resolve) => stream.once('close', resolve));
    await once(stream, 'response');

    accepted.destroy();

    await ended;
    assert.notEqual(stream.rstCode, 0);
    assert.ok(client.destroyed);
  });
});
