// Connections to targets that speak HTTP/2: how many there are, what is tried again on another, what one request does to the rest.
// Must not test what a message may be: messages.test.ts does.
import assert from 'node:assert/strict';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import type { TargetAddress, UpstreamHandler } from '../../../../../gateway/core/ports.ts';
import { until } from '../../../../support/until.ts';
import { FLAG, FRAME, type Frame, frame, headersFrame, packNumber } from '../../../../support/wire/h2-frames.ts';
import { startFrameOrigin, startH2Origin } from '../../../../support/wire/h2-origin.ts';
import { type Caller, createCaller, makeSource, OK, type Outcome, REQUEST, startFrames } from './caller.ts';

/** Hears nothing that matters. */
const DEAF: UpstreamHandler = {
  onInformational: () => undefined,
  onUpgrade: () => undefined,
  onHead: () => undefined,
  onChunk: () => true,
  onEnd: () => undefined,
  onError: () => undefined,
};

describe('HTTP/2 upstream client', () => {
  let caller: Caller;

  beforeEach(() => {
    caller = createCaller();
  });

  afterEach(() => caller.close());

  it('sends over one connection what the target takes at a time, and over others what is more', async () => {
    let open = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    const origin = await startH2Origin(
      (stream) => {
        most = Math.max(most, ++open);
        waiting.push(() => {
          open--;
          stream.respond({ ':status': 200 }, { endStream: true });
        });
      },
      { settings: { maxConcurrentStreams: 2 } },
    );
    const address = caller.addressOf(origin);
    const first = caller.send(address);
    await until(() => waiting.length === 1);
    waiting.shift()?.();
    await first;

    const outcomes = [1, 2, 3, 4, 5].map(() => caller.send(address));
    await until(() => waiting.length === 5);

    assert.equal(origin.sessions.size, 3);
    for (const release of waiting.splice(0)) release();
    for (const { end } of await Promise.all(outcomes)) assert.equal(end, 'done');
  });

  describe('whose target takes no more at a time', () => {
    /** Is as many connections as there may be. */
    const SESSIONS = 16;
    const held: (() => void)[] = [];
    let address: TargetAddress;
    let outcomes: Promise<Outcome>[];

    beforeEach(async () => {
      const origin = await startH2Origin(
        (stream) => held.push(() => stream.respond({ ':status': 200 }, { endStream: true })),
        { settings: { maxConcurrentStreams: 1 } },
      );
      address = caller.addressOf(origin, { connectMs: 500 });
      outcomes = [];
      // One by one: a connection learns only after it opened how many requests it may carry.
      for (let count = 1; count <= SESSIONS; count++) {
        outcomes.push(caller.send(address, { responseMs: 10_000 }));
        await until(() => held.length === count);
      }
    });
    afterEach(async () => {
      for (const release of held.splice(0)) release();
      await Promise.all(outcomes);
    });

    it('is not blamed for the wait', async () => {
      assert.equal((await caller.send(address)).end, 'overloaded');
    });

    it('is not kept from others by those who gave up waiting', async () => {
      for (let count = 0; count < 1_024; count++) caller.client.send(address, REQUEST, DEAF).abort();
      const last = caller.send(address);

      held.shift()?.();
      await until(() => held.length === SESSIONS);
      held.pop()?.();

      assert.equal((await last).end, 'done');
    });
  });

  it('blames a target with which no connection comes about', async () => {
    const silent = createTcpServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    caller.keep(() => silent.close());

    const { end } = await caller.send({ protocol: 'h2', host: '127.0.0.1', port, connectMs: 100, tls: undefined });

    assert.equal(end, 'connect-timeout');
  });

  it('sends again over a new connection what the target says it did not look at', async () => {
    const bodies: string[] = [];
    let connections = 0;
    const seen = new Set<Socket>();
    const origin = await startFrameOrigin((one, socket) => {
      if (!seen.has(socket)) {
        seen.add(socket);
        connections++;
      }
      if (one.type === FRAME.settings && one.flags === 0) {
        socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), frame(FRAME.settings, FLAG.ack, 0)]));
      }
      if (one.type !== FRAME.data) return;
      if (connections === 1) {
        // The last stream looked at is none: GOAWAY as of a server that restarts.
        socket.write(frame(FRAME.goaway, 0, 0, Buffer.concat([packNumber(0), packNumber(0)])));
        return;
      }
      bodies.push(one.payload.toString());
      if ((one.flags & FLAG.endStream) !== 0) socket.write(headersFrame(one.stream, OK));
    });

    const outcome = await caller.send(caller.addressOf(origin), { method: 'POST', body: makeSource(['one', 'two']) });

    assert.equal(outcome.end, 'done');
    assert.equal(bodies.join(''), 'onetwo');
    assert.equal(connections, 2);
  });

  it('does not send again what it no longer has', async () => {
    const big = Buffer.alloc(40_000, 'x').toString();
    let received = 0;
    const counting = await startFrameOrigin((one, socket) => {
      if (one.type === FRAME.settings && one.flags === 0) {
        const windows = [frame(FRAME.window, 0, 0, packNumber(1_000_000))];
        socket.write(
          Buffer.concat([
            frame(FRAME.settings, 0, 0, Buffer.from([0, 4, 0, 0x0f, 0, 0])),
            frame(FRAME.settings, FLAG.ack, 0),
            ...windows,
          ]),
        );
      }
      if (one.type === FRAME.data) received += one.payload.length;
      if (received >= 79_000) {
        received = 0;
        socket.write(frame(FRAME.goaway, 0, 0, Buffer.concat([packNumber(0), packNumber(0)])));
      }
    });

    const outcome = await caller.send(caller.addressOf(counting), { method: 'POST', body: makeSource([big, big]) });

    assert.equal(outcome.end, 'connect-failed');
    assert.equal(counting.sockets.length, 1);
  });

  it('finishes what is open on a connection that goes away, and begins nothing on it', async () => {
    const streams: [number, Socket][] = [];
    const origin = await startFrames(({ stream }, socket) => {
      streams.push([stream, socket]);
      if (streams.length === 1) {
        socket.write(frame(FRAME.goaway, 0, 0, Buffer.concat([packNumber(stream), packNumber(0)])));
      } else socket.write(headersFrame(stream, OK));
    });
    const address = caller.addressOf(origin);
    const first = caller.send(address);
    await until(() => streams.length === 1);
    const second = await caller.send(address);
    const [id, socket] = streams[0] ?? [0, undefined];
    socket?.write(headersFrame(id, OK));

    assert.equal(second.end, 'done');
    assert.equal((await first).end, 'done');
    assert.equal(origin.sockets.length, 2);
  });

  it('says that a failure hit a connection that was used before', async () => {
    const origin = await startFrames(({ stream }, socket) => {
      if (stream === 1) socket.write(headersFrame(stream, OK));
      else socket.destroy();
    });
    const address = caller.addressOf(origin);

    assert.equal((await caller.send(address)).end, 'done');
    assert.equal((await caller.send(address)).end, 'reset-before-response (reused)');
  });

  it('cancels the stream, and does not end it, when a request breaks off', async () => {
    const frames: Frame[] = [];
    const origin = await startFrameOrigin((one, socket) => {
      frames.push(one);
      if (one.type === FRAME.settings && one.flags === 0)
        socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), frame(FRAME.settings, FLAG.ack, 0)]));
    });

    const outcome = await caller.send(caller.addressOf(origin), {
      method: 'POST',
      body: makeSource(['half'], { error: new Error('left') }),
    });
    await until(() => frames.some(({ type }) => type === FRAME.reset));

    assert.equal(outcome.end, 'request-aborted');
    assert.ok(!frames.some(({ type, flags }) => type === FRAME.data && (flags & FLAG.endStream) !== 0));
    assert.equal(frames.find(({ type }) => type === FRAME.reset)?.payload.readUInt32BE(0), 8);
  });

  it('holds the target back while nobody reads', async () => {
    let sent = 0;
    let wasHeldBack = false;
    const origin = await startH2Origin((stream) => {
      stream.respond({ ':status': 200 });
      const push = (): void => {
        while (sent < 50_000_000) {
          sent += 65_536;
          if (!stream.write(Buffer.alloc(65_536))) {
            wasHeldBack = true;
            return;
          }
        }
        stream.end();
      };
      stream.on('drain', push);
      push();
    });
    let got = 0;
    const done = new Promise<void>((resolve) => {
      const call = caller.client.send(caller.addressOf(origin), REQUEST, {
        onInformational: () => undefined,
        onUpgrade: () => undefined,
        onHead: () => undefined,
        onChunk(chunk) {
          got += chunk.length;
          if (got > 200_000) return true;
          until(() => wasHeldBack).then(() => {
            assert.ok(sent - got < 2_000_000);
            call.resume();
          }, assert.fail);
          return false;
        },
        onEnd: () => resolve(),
        onError: (_, cause) => assert.fail(cause),
      });
    });

    await done;
    assert.equal(got, sent);
  });
});
