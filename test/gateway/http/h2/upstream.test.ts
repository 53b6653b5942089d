// Targets that speak HTTP/2: what is sent, what is taken for a response, and what is tried again.
// Must not go through the gateway: proxy.test.ts does.
import assert from 'node:assert/strict';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { createServer } from 'node:tls';
import type {
  BodySink,
  BodySource,
  TargetAddress,
  UpstreamClient,
  UpstreamHandler,
  UpstreamRequest,
} from '../../../../gateway/core/ports.ts';
import { createUpstreamClient } from '../../../../gateway/http/upstream/client.ts';
import { makeCertificate } from '../../../support/certificates.ts';
import { FLAG, FRAME, type Frame, frame, headersFrame, packNumber } from '../../../support/h2-frames.ts';
import { echo, startFrameOrigin, startH2Origin, startSecureH2Origin } from '../../../support/h2-origin.ts';
import { until } from '../../../support/until.ts';

/** Is what came of a request. */
interface Outcome {
  status: number;
  readonly headers: string[];
  body: string;
  trailers: readonly string[] | undefined;
  readonly informational: number[];
  /** `done`, or the failure; ` (reused)` behind it. */
  end: string;
}

const OK: readonly (readonly [string, string])[] = [[':status', '200']];

const REQUEST: UpstreamRequest = {
  method: 'GET',
  target: '/',
  headers: ['Host', 'h.test'],
  body: undefined,
  responseMs: 2_000,
  idleMs: 2_000,
};
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
  const closers: (() => unknown)[] = [];
  let client: UpstreamClient;

  beforeEach(() => {
    client = createUpstreamClient();
    closers.push(() => client.close());
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  function addressOf(
    origin: { readonly port: number; close(): Promise<void> },
    changes: Partial<TargetAddress> = {},
  ): TargetAddress {
    closers.push(() => origin.close());
    return { protocol: 'h2c', host: '127.0.0.1', port: origin.port, connectMs: 2_000, tls: undefined, ...changes };
  }

  function send(address: TargetAddress, changes: Partial<UpstreamRequest> = {}): Promise<Outcome> {
    const outcome: Outcome = { status: 0, headers: [], body: '', trailers: undefined, informational: [], end: '' };
    return new Promise((resolve) => {
      const finish = (end: string): void => {
        outcome.end = end;
        resolve(outcome);
      };
      client.send(
        address,
        {
          method: 'GET',
          target: '/a?b',
          headers: ['Host', 'h.test', 'X-A', '1'],
          body: undefined,
          responseMs: 2_000,
          idleMs: 2_000,
          ...changes,
        },
        {
          onInformational: (status) => void outcome.informational.push(status),
          onUpgrade: () => finish('upgraded'),
          onHead(status, rawHeaders) {
            outcome.status = status;
            outcome.headers.push(...rawHeaders);
          },
          onChunk(chunk) {
            outcome.body += Buffer.from(chunk).toString('latin1');
            return true;
          },
          onEnd(trailers) {
            outcome.trailers = trailers;
            finish('done');
          },
          onError: (failure, _cause, wasReused) => finish(wasReused ? `${failure} (reused)` : failure),
        },
      );
    });
  }

  /** Answers SETTINGS, and hands over the frames that begin a request. */
  function startFrames(onRequest: (frame: Frame, socket: Socket) => void): ReturnType<typeof startFrameOrigin> {
    return startFrameOrigin((one, socket) => {
      if (one.type === FRAME.settings && one.flags === 0) {
        socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), frame(FRAME.settings, FLAG.ack, 0)]));
      } else if (one.type === FRAME.headers) onRequest(one, socket);
    });
  }

  it('writes requests anew and reads responses whole', async () => {
    const origin = await startH2Origin((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 201, 'x-b': ['1', '2'] }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '9' }));
      stream.end('hello');
    });

    const outcome = await send(addressOf(origin));

    assert.equal(outcome.status, 201);
    assert.equal(outcome.body, 'hello');
    assert.deepEqual(outcome.informational, [103]);
    assert.deepEqual(outcome.trailers, ['x-sum', '9']);
    assert.ok(!outcome.headers.includes(':status'));
    const { raw } = origin.seen[0] ?? { raw: [] };
    const lines = Object.fromEntries(raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1]]] : [])));
    assert.deepEqual(lines, {
      ':method': 'GET',
      ':path': '/a?b',
      ':scheme': 'http',
      ':authority': 'h.test',
      'x-a': '1',
      te: 'trailers',
    });
  });

  it('declines to switch protocols', async () => {
    const origin = await startH2Origin((stream) => stream.respond({ ':status': 400 }, { endStream: true }));

    const outcome = await send(addressOf(origin), { upgrade: 'websocket' });

    assert.equal(outcome.status, 400);
    assert.equal(origin.seen[0]?.fields.upgrade, undefined);
  });

  it('sends bodies with their length, or without one and with trailers', async () => {
    const trailers: unknown[] = [];
    const origin = await startH2Origin((stream) => {
      stream.on('trailers', (fields) => trailers.push(fields['x-t']));
      echo(stream);
    });
    const address = addressOf(origin);

    const whole = await send(address, { method: 'POST', body: Buffer.from('whole') });
    const flowing = await send(address, { method: 'POST', body: makeSource(['a', 'b'], { trailers: ['X-T', '1'] }) });
    const empty = await send(address, { method: 'POST' });

    assert.deepEqual([whole.body, flowing.body, empty.body], ['whole', 'ab', '']);
    assert.deepEqual(
      origin.seen.map(({ fields }) => fields['content-length']),
      ['5', undefined, '0'],
    );
    assert.deepEqual(trailers, ['1']);
  });

  it('asks for leave to send where the client does', async () => {
    const origin = await startH2Origin((stream) => {
      stream.additionalHeaders({ ':status': 100 });
      echo(stream);
    });

    const outcome = await send(addressOf(origin), {
      method: 'POST',
      body: makeSource(['hi'], { expectsContinue: true }),
    });

    assert.equal(outcome.body, 'hi');
    assert.equal(origin.seen[0]?.fields.expect, '100-continue');
  });

  const RESPONSES: readonly (readonly [string, (stream: number) => readonly Buffer[], string])[] = [
    ['a whole response', (id) => [headersFrame(id, OK)], 'done'],
    ['Connection', (id) => [headersFrame(id, [...OK, ['connection', 'close']])], 'invalid-response'],
    ['Transfer-Encoding', (id) => [headersFrame(id, [...OK, ['transfer-encoding', 'chunked']])], 'invalid-response'],
    ['a name in upper case', (id) => [headersFrame(id, [...OK, ['X-A', '1']])], 'invalid-response'],
    ['no :status', (id) => [headersFrame(id, [['x-a', '1']])], 'invalid-response'],
    [':status 101', (id) => [headersFrame(id, [[':status', '101']], FLAG.endHeaders)], 'invalid-response'],
    [':status 600', (id) => [headersFrame(id, [[':status', '600']])], 'invalid-response'],
    [
      '1 000 lines',
      (id) => [headersFrame(id, [...OK, ...Array.from({ length: 1_000 }, () => ['a', 'b'] as const)])],
      'invalid-response',
    ],
    [
      'less than Content-Length says',
      (id) => [
        headersFrame(id, [...OK, ['content-length', '9']], FLAG.endHeaders),
        frame(FRAME.data, FLAG.endStream, id, Buffer.from('half')),
      ],
      'broken-response',
    ],
    [
      'a reset without an error behind half a response',
      (id) => [
        headersFrame(id, OK, FLAG.endHeaders),
        frame(FRAME.data, 0, id, Buffer.from('half')),
        frame(FRAME.reset, 0, id, packNumber(0)),
      ],
      'broken-response',
    ],
    [
      'a reset with CANCEL behind half a response',
      (id) => [
        headersFrame(id, OK, FLAG.endHeaders),
        frame(FRAME.data, 0, id, Buffer.from('half')),
        frame(FRAME.reset, 0, id, packNumber(8)),
      ],
      'broken-response',
    ],
    [
      'a reset without an error before a response',
      (id) => [frame(FRAME.reset, 0, id, packNumber(0))],
      'reset-before-response',
    ],
    ['a reset before a response', (id) => [frame(FRAME.reset, 0, id, packNumber(2))], 'reset-before-response'],
    ['streams refused again and again', (id) => [frame(FRAME.reset, 0, id, packNumber(7))], 'connect-failed'],
  ];
  for (const [name, answer, expected] of RESPONSES) {
    it(`takes ${name} for ${expected}`, async () => {
      const origin = await startFrames(({ stream }, socket) => socket.write(Buffer.concat(answer(stream))));

      assert.equal((await send(addressOf(origin), { method: 'POST' })).end, expected);
    });
  }

  it('speaks to targets over TLS that have agreed to HTTP/2, and to no others', async () => {
    const { chain, privateKey } = makeCertificate({ name: 'localhost', hosts: ['127.0.0.1'] });
    const agreeing = await startSecureH2Origin(echo, { cert: chain, key: privateKey });
    const other = createServer({ cert: chain, key: privateKey }, (socket) => socket.on('error', () => undefined));
    closers.push(() => other.close());
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const first = addressOf(agreeing, { protocol: 'h2', tls: { id: 'lax', verify: false } });
    const second = { ...first, port: (other.address() as AddressInfo).port };

    const ends = [await send(first), await send(second), await send({ ...first, tls: { id: '', verify: true } })];

    assert.deepEqual(
      ends.map(({ end }) => end),
      ['done', 'connect-failed', 'connect-failed'],
    );
    assert.equal(agreeing.seen[0]?.fields[':scheme'], 'https');
  });

  it('says how far a try came', async () => {
    const ends: string[] = [];
    const silent = addressOf(await startFrames(() => undefined));
    ends.push((await send(silent, { responseMs: 50 })).end);
    ends.push((await send(silent, { deadlineMs: performance.now() + 50 })).end);
    ends.push((await send(silent, { method: 'POST', idleMs: 50, body: makeSource([]) })).end);
    const half = addressOf(
      await startFrames(({ stream }, socket) => socket.write(headersFrame(stream, OK, FLAG.endHeaders))),
    );
    ends.push((await send(half, { idleMs: 50 })).end);
    const dropped = addressOf(await startFrames((_, socket) => socket.destroy()));
    ends.push((await send(dropped)).end);
    const deaf = addressOf(await startFrameOrigin((_, socket) => socket.destroy()));
    ends.push((await send(deaf)).end);
    const gone = await startFrames(() => undefined);
    await gone.close();
    ends.push((await send({ ...silent, port: gone.port })).end);

    assert.deepEqual(ends, [
      'response-timeout',
      'deadline-exceeded',
      'request-aborted',
      'idle-timeout',
      'reset-before-response',
      'reset-before-response',
      'connect-failed',
    ]);
  });

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
    const address = addressOf(origin);
    const first = send(address);
    await until(() => waiting.length === 1);
    waiting.shift()?.();
    await first;

    const outcomes = [1, 2, 3, 4, 5].map(() => send(address));
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
      address = addressOf(origin, { connectMs: 500 });
      outcomes = [];
      // One by one: a connection learns only after it opened how many requests it may carry.
      for (let count = 1; count <= SESSIONS; count++) {
        outcomes.push(send(address, { responseMs: 10_000 }));
        await until(() => held.length === count);
      }
    });
    afterEach(async () => {
      for (const release of held.splice(0)) release();
      await Promise.all(outcomes);
    });

    it('is not blamed for the wait', async () => {
      assert.equal((await send(address)).end, 'overloaded');
    });

    it('is not kept from others by those who gave up waiting', async () => {
      for (let count = 0; count < 1_024; count++) client.send(address, REQUEST, DEAF).abort();
      const last = send(address);

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
    closers.push(() => silent.close());

    const { end } = await send({ protocol: 'h2', host: '127.0.0.1', port, connectMs: 100, tls: undefined });

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

    const outcome = await send(addressOf(origin), { method: 'POST', body: makeSource(['one', 'two']) });

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

    const outcome = await send(addressOf(counting), { method: 'POST', body: makeSource([big, big]) });

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
    const address = addressOf(origin);
    const first = send(address);
    await until(() => streams.length === 1);
    const second = await send(address);
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
    const address = addressOf(origin);

    assert.equal((await send(address)).end, 'done');
    assert.equal((await send(address)).end, 'reset-before-response (reused)');
  });

  it('cancels the stream, and does not end it, when a request breaks off', async () => {
    const frames: Frame[] = [];
    const origin = await startFrameOrigin((one, socket) => {
      frames.push(one);
      if (one.type === FRAME.settings && one.flags === 0)
        socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), frame(FRAME.settings, FLAG.ack, 0)]));
    });

    const outcome = await send(addressOf(origin), {
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
      const call = client.send(
        addressOf(origin),
        { method: 'GET', target: '/', headers: ['Host', 'h'], body: undefined, responseMs: 2_000, idleMs: 2_000 },
        {
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
        },
      );
    });

    await done;
    assert.equal(got, sent);
  });
});

/** Makes a body of the given pieces; without any it never ends. */
function makeSource(
  pieces: readonly string[],
  options: { readonly trailers?: readonly string[]; readonly expectsContinue?: boolean; readonly error?: Error } = {},
): BodySource {
  let bytesRead = 0;
  return {
    length: undefined,
    expectsContinue: options.expectsContinue ?? false,
    get bytesRead() {
      return bytesRead;
    },
    start(sink: BodySink) {
      setImmediate(() => {
        for (const piece of pieces) {
          bytesRead += piece.length;
          sink.write(Buffer.from(piece));
        }
        if (options.error) setImmediate(() => sink.fail(options.error ?? new Error()));
        else if (pieces.length > 0) sink.end(options.trailers);
      });
    },
    pause: () => undefined,
    resume: () => undefined,
    discard: () => undefined,
  };
}
