// How gRPC calls end before their time: deadlines, cancels, silence, services that die or restart.
// Must not test what a whole call carries: calls.test.ts does.
import assert from 'node:assert/strict';
import type { ServerDuplexStream, ServiceError } from '@grpc/grpc-js';
import { createStage } from '../../../../support/proxied-api.ts';
import { until } from '../../../../support/until.ts';
import { call, ECHO, type EchoServer, startEcho } from '../../../../support/wire/grpc.ts';
import { ask, openSession } from '../../../../support/wire/h2-client.ts';
import { FLAG, FRAME, frame, headersFrame, packNumber } from '../../../../support/wire/h2-frames.ts';
import { startFrameOrigin, startH2Origin } from '../../../../support/wire/h2-origin.ts';
import { deserialize, serialize, serve } from './served-client.ts';

describe('gRPC through the gateway', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  it('keeps to deadlines: the client is told, the service learns what is left, and its health is not doubted', async () => {
    const left: number[] = [];
    let cancelled = 0;
    const { client } = await serve(
      stage,
      await startEcho({
        unary(received) {
          left.push(Number(received.getDeadline()) - Date.now());
          received.on('cancelled', () => cancelled++);
        },
      }),
    );

    const end = await call(client, 'x', { metadata: { 'grpc-timeout': '150m' } });
    await until(() => cancelled === 1);

    assert.equal(end.code, 4);
    assert.ok((left[0] ?? 0) > 0 && (left[0] ?? 0) <= 150, `${left[0]} ms were left`);
  });

  for (const [timeout, code] of [
    ['0n', 4],
    ['1n', 4],
    ['', 3],
    ['10', 3],
    ['-1S', 3],
    ['123456789m', 3],
    ['1s', 3],
  ] as const) {
    it(`answers ${code} to grpc-timeout: ${timeout}, and calls nobody`, async () => {
      let calls = 0;
      const origin = await startH2Origin(() => calls++);
      const { gateway } = await serve(stage, origin);
      const session = openSession(gateway.url);
      stage.keep(() => session.destroy());

      const answer = await ask(
        session,
        {
          ':method': 'POST',
          ':path': ECHO.unary.path,
          'content-type': 'application/grpc+proto',
          'grpc-timeout': timeout,
        },
        '',
      );

      assert.equal(answer.status, 200);
      assert.equal(answer.isHeadOnly, true);
      assert.equal(answer.headers['content-type'], 'application/grpc');
      assert.equal(answer.headers['grpc-status'], String(code));
      assert.equal(calls, 0);
    });
  }

  it('takes the shorter of the deadline and the time of the route, and tells the service', async () => {
    const left: number[] = [];
    const { client } = await serve(
      stage,
      await startEcho({
        unary(received, callback) {
          left.push(Number(received.getDeadline()) - Date.now());
          if (left.length === 1) callback(null, 'quick');
        },
      }),
      { route: { timeouts: { totalMs: 300 } } },
    );

    const quick = await call(client, 'x');
    const slow = await call(client, 'x', { deadlineMs: 10_000 });

    assert.equal(quick.reply, 'quick');
    assert.equal(slow.code, 4);
    for (const ms of left) assert.ok(ms > 0 && ms <= 300, `${ms} ms were left`);
  });

  it('cancels at the service what the client cancels', async () => {
    let cancelledMs = 0;
    let chats = 0;
    const { client } = await serve(
      stage,
      await startEcho({
        chat(stream: ServerDuplexStream<string, string>) {
          chats++;
          stream.on('cancelled', () => {
            cancelledMs = performance.now();
          });
          stream.on('error', () => undefined);
          stream.write('hi');
        },
      }),
    );
    const chat = client.makeBidiStreamRequest(ECHO.chat.path, serialize, deserialize);
    chat.on('error', () => undefined);
    await new Promise((resolve) => chat.once('data', resolve));
    const beganMs = performance.now();
    chat.cancel();

    await until(() => cancelledMs > 0);
    assert.equal(chats, 1);
    assert.ok(cancelledMs - beganMs < 100);
  });

  it('lets both sides be silent for as long as the route says, and no longer', async () => {
    const { client } = await serve(stage, await startEcho({ chat: (stream) => stream.write('hi') }), {
      bodyIdleMs: 50,
      route: { timeouts: { idleMs: 400 } },
    });
    const chat = client.makeBidiStreamRequest(ECHO.chat.path, serialize, deserialize);
    chat.on('data', () => undefined);
    const beganMs = performance.now();

    const error = await new Promise<ServiceError>((resolve) => chat.on('error', resolve));

    const tookMs = performance.now() - beganMs;
    assert.equal(error.code, 4);
    assert.ok(tookMs >= 390 && tookMs < 1_000, `took ${tookMs} ms`);
  });

  it('ends a stream whose service dies in its middle with a status', async () => {
    let echo: EchoServer | undefined;
    echo = await startEcho({ repeat: (stream) => stream.write('first') });
    const { client } = await serve(stage, echo);
    const stream = client.makeServerStreamRequest(ECHO.repeat.path, serialize, deserialize, 'x');
    const got: string[] = [];
    const ended = new Promise<ServiceError>((resolve) => stream.on('error', resolve));
    stream.on('data', (text: string) => {
      got.push(text);
      void echo?.close();
    });

    const error = await ended;

    assert.deepEqual(got, ['first']);
    assert.equal(error.code, 14);
    assert.equal(error.details, 'the upstream broke off its response');
  });

  it('loses no call to a service that restarts', async () => {
    // Says goodbye on each connection behind its second call, as a service that is being replaced; a third is not looked at.
    const sessions = new Map<object, number>();
    const messages = new Map<string, Buffer>();
    const origin = await startFrameOrigin((one, socket) => {
      if (one.type === FRAME.settings && one.flags === 0) {
        socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), frame(FRAME.settings, FLAG.ack, 0)]));
      }
      if (one.type !== FRAME.data) return;
      const key = `${socket.remotePort} ${one.stream}`;
      const message = Buffer.concat([messages.get(key) ?? Buffer.alloc(0), one.payload]);
      messages.set(key, message);
      if ((one.flags & FLAG.endStream) === 0) return;
      const count = (sessions.get(socket) ?? 0) + 1;
      sessions.set(socket, count);
      if (count > 2) return;
      const answer = [
        headersFrame(
          one.stream,
          [
            [':status', '200'],
            ['content-type', 'application/grpc'],
          ],
          FLAG.endHeaders,
        ),
        frame(FRAME.data, 0, one.stream, message),
        headersFrame(one.stream, [['grpc-status', '0']]),
      ];
      if (count === 2)
        answer.unshift(frame(FRAME.goaway, 0, 0, Buffer.concat([packNumber(one.stream), packNumber(0)])));
      socket.write(Buffer.concat(answer));
    });
    const { client } = await serve(stage, origin);

    const ends = await Promise.all(Array.from({ length: 3 }, (_, at) => call(client, `call ${at}`)));
    const more = await call(client, 'more');

    assert.deepEqual(
      ends.map(({ reply }) => reply),
      ['call 0', 'call 1', 'call 2'],
    );
    assert.deepEqual([more.code, more.details, more.reply], [0, '', 'more']);
    assert.ok(sessions.size >= 2);
  });
});
