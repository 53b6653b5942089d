// How HTTP/2 streams and connections begin, are held back and end, whoever ends them.
// Must not send what no client library would: strictness.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { openRaw } from '../../../../support/engine.ts';
import { createStage } from '../../../../support/proxied-api.ts';
import { until } from '../../../../support/until.ts';
import { ask, gather } from '../../../../support/wire/h2-client.ts';
import {
  FLAG,
  FRAME,
  frame,
  headersFrame,
  openFrames,
  packNumber,
  requestLines,
} from '../../../../support/wire/h2-frames.ts';
import { startRawOrigin, startTcpOrigin } from '../../../../support/wire/origin.ts';
import { setUp, startEcho } from './open-session.ts';

/** More than all buffers on the way can hold. */
const MANY_BYTES = 64 * 1024 * 1024;
const PIECE = Buffer.alloc(64 * 1024);

describe('HTTP/2 server', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  it('reads a preface however it is cut, and HTTP/1.1 on the same port', async () => {
    const { gateway } = await setUp(stage, await startEcho());
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const rest = Buffer.concat([frame(FRAME.settings, 0, 0), headersFrame(1, requestLines())]);
    for (const cut of [1, 3, 4, 16, 18, 23]) {
      const socket = connect({ port: gateway.port, host: '127.0.0.1', noDelay: true });
      await once(socket, 'connect');
      socket.write(preface.subarray(0, cut));
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(Buffer.concat([preface.subarray(cut), rest]));
      let received = Buffer.alloc(0);
      // Static table, index 8: `:status: 200`.
      for await (const bytes of socket) {
        received = Buffer.concat([received, bytes as Buffer]);
        if (received.includes(Buffer.from([FRAME.headers, FLAG.endHeaders | FLAG.endStream, 0, 0, 0, 1, 0x88]))) break;
      }
      assert.ok(received.includes(0x88), `cut at ${cut}`);
    }
    const raw = await openRaw(gateway.port);
    raw.write('P');
    await new Promise((resolve) => setImmediate(resolve));
    raw.write('OST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');

    assert.match((await raw.closed()).text, /^HTTP\/1\.1 200 /);
  });

  it('resets the stream, and no other, when the upstream breaks off', async () => {
    const origin = await startRawOrigin((request, response) => {
      if (request.url === '/ok') response.end('ok');
      else response.write('half', () => response.destroy());
    });
    const { session } = await setUp(stage, origin);

    const broken = await ask(session, { ':path': '/broken' });
    const whole = await ask(session, { ':path': '/ok' });

    assert.equal(broken.status, 200);
    assert.notEqual(broken.resetCode, 0);
    assert.equal(whole.body.toString(), 'ok');
    assert.equal(session.destroyed, false);
  });

  it('closes the upstream within 100 ms when the client resets the stream', async () => {
    const leftMs: number[] = [];
    const began: (() => void)[] = [];
    const origin = await startRawOrigin((request, response) => {
      request.resume();
      response.on('close', () => leftMs.push(performance.now()));
      if (request.url === '/mid') response.write('part');
      began.shift()?.();
    });
    const { session } = await setUp(stage, origin);
    for (const [path, method] of [
      ['/mid', 'GET'],
      ['/before', 'GET'],
      ['/upload', 'POST'],
      ['/head', 'HEAD'],
    ] as const) {
      const arrived = new Promise<void>((resolve) => began.push(resolve));
      const stream = session.request({ ':path': path, ':method': method }, { endStream: method !== 'POST' });
      stream.on('error', () => undefined);
      if (method === 'POST') stream.write('part');
      await arrived;
      const count = leftMs.length;
      const resetMs = performance.now();
      stream.close(8);

      await until(() => leftMs.length > count);
      assert.ok((leftMs.at(-1) ?? 0) - resetMs < 100, `${method} ${path}`);
    }
  });

  it('never ends half a body as if it were whole, however the client breaks off', async () => {
    const origin = await startTcpOrigin(() => undefined);
    const { gateway } = await setUp(stage, origin);
    let halves = 1;
    for (const code of [0, 2, 8, undefined]) {
      const client = await openFrames(gateway.port);
      client.send(headersFrame(1, requestLines({ ':method': 'POST' }), FLAG.endHeaders));
      client.send(frame(FRAME.data, 0, 1, Buffer.from('half')));
      await until(() => origin.received().split('half').length === halves + 1);
      halves++;
      if (code === undefined) client.socket.end();
      else client.send(frame(FRAME.reset, 0, 1, packNumber(code)));

      await until(() => origin.connections.every(({ closed, readableEnded }) => closed || readableEnded));
      client.close();
    }

    assert.equal(origin.received().split('half').length, 5);
    assert.ok(!origin.received().includes('\r\n0\r\n\r\n'));
  });

  it('answers 408 when a body falls silent', async () => {
    const { session } = await setUp(stage, await startEcho(), { bodyIdleMs: 200 });
    const stream = session.request({ ':method': 'POST', 'content-length': 10 });
    stream.write('half');

    const answer = await gather(stream);

    assert.equal(answer.status, 408);
    assert.equal(answer.resetCode, 0);
  });

  it('answers before a body is whole, and says that the rest is not needed', async () => {
    const { session } = await setUp(stage, await startEcho());
    const stream = session.request({ ':method': 'POST', ':path': '/a//b' });
    stream.write('more to come');

    const answer = await gather(stream);

    assert.equal(answer.status, 400);
    assert.equal(answer.resetCode, 0);
    assert.match(answer.body.toString(), /PATH_AMBIGUOUS/);
  });

  it('holds the upstream back while the client does not read, and the client while the upstream does not', async () => {
    let sent = 0;
    let isHeldBack = false;
    const origin = await startRawOrigin((request, response) => {
      if (request.method === 'POST') {
        request.once('data', () => request.pause());
        return;
      }
      const push = (): void => {
        isHeldBack = false;
        while (!isHeldBack && sent < MANY_BYTES) {
          sent += PIECE.length;
          isHeldBack = !response.write(PIECE);
        }
      };
      response.on('drain', push);
      push();
    });
    const { gateway, session } = await setUp(stage, origin);
    // A client of node:http2 would read ahead; of this one no window is given beyond the first.
    const client = await openFrames(gateway.port);
    stage.keep(() => client.close());
    client.send(headersFrame(1, requestLines()));
    const upload = session.request({ ':method': 'POST' });
    upload.on('error', () => undefined);
    let offered = 0;
    const offer = (): void => {
      let mayGoOn = true;
      while (mayGoOn && offered < MANY_BYTES) {
        offered += PIECE.length;
        mayGoOn = upload.write(PIECE);
      }
    };
    upload.on('drain', offer);
    offer();

    // Held back for longer than what is on its way could take.
    let before = -1;
    for (let quietMs = 0; quietMs < 200; ) {
      const since = performance.now();
      await new Promise((resolve) => setImmediate(resolve));
      quietMs = before === sent + offered ? quietMs + performance.now() - since : 0;
      before = sent + offered;
    }

    assert.ok(isHeldBack && sent < MANY_BYTES / 4, `${sent} bytes were sent to nobody`);
    assert.ok(offered < MANY_BYTES / 4, `${offered} bytes were taken for nobody`);
    client.send(frame(FRAME.window, 0, 1, packNumber(1024 * 1024)), frame(FRAME.window, 0, 0, packNumber(1024 * 1024)));
    const already = client.frames.length;
    await until(() => client.frames.length > already + 8);
  });

  it('drains: says goodbye, takes what was sent before it was heard, finishes, closes', async () => {
    let release = (): void => undefined;
    const origin = await startRawOrigin((request, response) => {
      if (request.url === '/slow') release = () => response.end('slow');
      else response.end('quick');
    });
    const { gateway, session } = await setUp(stage, origin);
    const slow = ask(session, { ':path': '/slow' });
    await until(() => release.name !== '');
    const client = await openFrames(gateway.port);
    stage.keep(() => client.close());
    client.send(headersFrame(1, requestLines()));
    assert.equal(await client.outcome(1), 'status 200');

    const drained = gateway.drain();
    const goodbye = await client.waitFor(({ type }) => type === FRAME.goaway);
    client.send(headersFrame(3, requestLines()));

    assert.equal(goodbye?.payload.readUInt32BE(0), 2 ** 31 - 1);
    await client.waitFor(({ type, stream }) => type === FRAME.headers && stream === 3);
    await client.closed();
    release();
    assert.equal((await slow).body.toString(), 'slow');
    await drained;
  });

  it('closes a connection that was idle for too long, and one that never says what it wants', async () => {
    const { gateway } = await setUp(stage, await startEcho(), { keepAliveMs: 300, headerTimeoutMs: 300 });
    const silent = await openRaw(gateway.port);
    const idle = await openFrames(gateway.port);
    stage.keep(() => idle.close());
    idle.send(headersFrame(1, requestLines()));
    await idle.outcome(1);

    await Promise.all([silent.closed(), idle.waitFor(({ type }) => type === FRAME.goaway)]);
    idle.socket.end();
    await idle.closed();
  });

  it('ends what was asked when the client closes its half', async () => {
    let hasLeft = false;
    const origin = await startRawOrigin((_, response) => {
      response.on('close', () => {
        hasLeft = true;
      });
      response.write('part');
    });
    const { gateway } = await setUp(stage, origin);
    const client = await openFrames(gateway.port);
    client.send(headersFrame(1, requestLines()));
    await client.outcome(1);

    client.socket.end();

    await client.closed();
    await until(() => hasLeft);
  });
});
