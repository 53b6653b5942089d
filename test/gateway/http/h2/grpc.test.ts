// gRPC through the gateway: the real client, the real service, every kind of call, and what goes wrong.
// Must not look at frames: what a caller sees is what counts.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type Client, Metadata, type ServerDuplexStream, type ServiceError } from '@grpc/grpc-js';
import type { Binding, Route } from '../../../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import { BUILT_IN_PLUGINS, loadPlugins } from '../../../../gateway/loader.ts';
import { readConfig } from '../../../../gateway/testing/config.ts';
import { fakeConsumers } from '../../../../gateway/testing/consumers.ts';
import { makePlugin, startGateway, type TestGateway, type TestGatewayOptions } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { call, ECHO, type EchoServer, openClient, startEcho } from '../../../support/grpc.ts';
import { ask, openSession } from '../../../support/h2-client.ts';
import { FLAG, FRAME, frame, headersFrame, packNumber } from '../../../support/h2-frames.ts';
import { startFrameOrigin, startH2Origin } from '../../../support/h2-origin.ts';
import { startOrigin } from '../../../support/origin.ts';
import { until } from '../../../support/until.ts';

const serialize = (text: string): Buffer => Buffer.from(text);
const deserialize = (bytes: Buffer): string => bytes.toString();

describe('gRPC through the gateway', () => {
  const closers: (() => unknown)[] = [];
  let gateway: TestGateway;
  let client: Client;

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function serve(
    origin: { readonly url: string; close(): Promise<void> },
    options: TestGatewayOptions & {
      readonly route?: Partial<Route>;
      /** Configurations by plugin. */
      readonly configs?: Readonly<Record<string, Binding['config']>>;
    } = {},
  ): Promise<void> {
    closers.push(() => origin.close());
    const { route, configs = {}, ...rest } = options;
    gateway = await startGateway(rest);
    closers.push(() => gateway.close());
    const routes = [makeRoute({ paths: ['/test.Echo'], stripPath: false, ...route })];
    const made = makeApi({ name: 'echo', upstream: origin.url, retries: { attempts: 0 }, routes });
    const bindings = (options.plugins ?? []).map(({ manifest }) =>
      makeBinding({ plugin: manifest.name, config: configs[manifest.name] ?? {} }),
    );
    await gateway.apply(putAll({ apis: [made], bindings }));
    client = openClient(gateway.port);
    closers.push(() => client.close());
  }

  it('carries every kind of call', async () => {
    await serve(await startEcho());

    const unary = await call(client, 'hello');
    const collected = await new Promise<string | undefined>((resolve, reject) => {
      const stream = client.makeClientStreamRequest(ECHO.collect.path, serialize, deserialize, (error, value) =>
        error ? reject(error) : resolve(value),
      );
      for (const text of ['a', 'b', 'c']) stream.write(text);
      stream.end();
    });
    const repeated: string[] = [];
    for await (const text of client.makeServerStreamRequest(ECHO.repeat.path, serialize, deserialize, 'r')) {
      repeated.push(text);
    }
    const chat = client.makeBidiStreamRequest(ECHO.chat.path, serialize, deserialize);
    const said: string[] = [];
    // Each answer is waited for: neither side may need the other's end to get on.
    for (const text of ['one', 'two', 'three']) {
      chat.write(text);
      said.push(await new Promise<string>((resolve) => chat.once('data', resolve)));
    }
    chat.end();
    await new Promise((resolve) => chat.on('status', resolve));

    assert.deepEqual([unary.code, unary.reply], [0, 'hello']);
    assert.equal(collected, 'a,b,c');
    assert.deepEqual(repeated, ['r0', 'r1', 'r2']);
    assert.deepEqual(said, ['ONE', 'TWO', 'THREE']);
  });

  it('carries metadata both ways, also binary, and statuses with their details', async () => {
    let seen: Metadata | undefined;
    await serve(
      await startEcho({
        unary(received, callback) {
          seen = received.metadata;
          const initial = new Metadata();
          initial.set('x-initial', '1');
          received.sendMetadata(initial);
          const trailing = new Metadata();
          trailing.set('x-trailing-bin', Buffer.from([0, 1, 2]));
          callback({ code: 9, details: 'not yet: größer 100%', metadata: trailing });
        },
      }),
    );

    const end = await call(client, 'x', { metadata: { 'x-mine': 'yes' } });

    assert.equal(end.code, 9);
    assert.equal(end.details, 'not yet: größer 100%');
    assert.deepEqual(end.metadata.get('x-trailing-bin'), [Buffer.from([0, 1, 2])]);
    assert.deepEqual(seen?.get('x-mine'), ['yes']);
    assert.equal(seen?.get('x-forwarded-for')[0], '127.0.0.1');
  });

  it('carries large messages both ways', async () => {
    const big = 'abcdefgh'.repeat(300_000);
    await serve(await startEcho());

    const ends = await Promise.all([1, 2, 3].map(() => call(client, big)));

    for (const end of ends) assert.ok(end.reply === big);
  });

  it('tells its own errors as statuses, and logs them', async () => {
    const lines: [number, string | undefined][] = [];
    const plugins = [
      makePlugin(
        'tell',
        {
          onRequest(exchange) {
            if (exchange.request.headers.has('x-respond'))
              exchange.respond(Number(exchange.request.headers.get('x-respond')));
            if (exchange.request.headers.has('x-throw')) throw new Error('oops');
          },
          onLog: ({ response, outcome }) => void lines.push([response?.status ?? 0, outcome.errorCode]),
        },
        { stage: 'observe' },
      ),
    ];
    await serve(await startEcho(), { plugins });

    const ends = [
      await call(client, '', { path: '/other.Service/Method' }),
      await call(client, '', { metadata: { 'x-throw': '1' } }),
      await call(client, '', { metadata: { 'x-respond': '403' } }),
      await call(client, '', { metadata: { 'x-respond': '418' } }),
    ];

    assert.deepEqual(
      ends.map(({ code }) => code),
      [12, 13, 7, 2],
    );
    assert.equal(ends[0]?.details, 'no api is published at this host and path');
    assert.deepEqual(lines, [
      [200, 'ROUTE_NOT_FOUND'],
      [200, 'PLUGIN_FAILED'],
      [200, undefined],
      [200, undefined],
    ]);
  });

  it('says that nobody is there, in so many words', async () => {
    const gone = await startEcho();
    await gone.close();
    await serve(gone);

    const end = await call(client, '');

    assert.deepEqual([end.code, end.details], [14, 'no connection to the upstream could be opened']);
  });

  it('asks for keys and counts calls', async () => {
    const all = await loadPlugins([BUILT_IN_PLUGINS]);
    const plugins = ['key-auth', 'rate-limiting'].map((name) => all.get(name) as LoadedPlugin);
    const configOf = (name: string, config: object): Binding['config'] =>
      readConfig(pathToFileURL(join(BUILT_IN_PLUGINS, name, '/')), config);
    await serve(await startEcho(), {
      plugins,
      configs: {
        'key-auth': configOf('key-auth', {}),
        'rate-limiting': configOf('rate-limiting', { limits: [{ requests: 1, windowSeconds: 60 }] }),
      },
      consumers: fakeConsumers({ username: 'alice', credentials: [{ type: 'key-auth', key: 'alice-key-0001' }] }),
    });
    const metadata = { apikey: 'alice-key-0001' };

    const without = await call(client, 'x');
    const first = await call(client, 'x', { metadata });
    const second = await call(client, 'x', { metadata });

    assert.equal(without.code, 16);
    assert.deepEqual([first.code, first.reply], [0, 'x']);
    assert.equal(second.code, 8);
    assert.match(String(second.metadata.get('retry-after')[0]), /^\d+$/);
  });

  it('keeps to deadlines: the client is told, the service learns what is left, and its health is not doubted', async () => {
    const left: number[] = [];
    let cancelled = 0;
    await serve(
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
      await serve(origin);
      const session = openSession(gateway.url);
      closers.push(() => session.destroy());

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
    await serve(
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
    await serve(
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
    await serve(await startEcho({ chat: (stream) => stream.write('hi') }), {
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
    await serve(echo);
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
    await serve(origin);

    const ends = await Promise.all(Array.from({ length: 3 }, (_, at) => call(client, `call ${at}`)));
    const more = await call(client, 'more');

    assert.deepEqual(
      ends.map(({ reply }) => reply),
      ['call 0', 'call 1', 'call 2'],
    );
    assert.deepEqual([more.code, more.details, more.reply], [0, '', 'more']);
    assert.ok(sessions.size >= 2);
  });

  it('tells what is no service as the protocol has it', async () => {
    await serve(await startOrigin((_, response) => response.writeHead(404).end('not here')));

    // https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
    assert.equal((await call(client, 'x')).code, 12);
  });
});
