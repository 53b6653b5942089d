// gRPC through the gateway: the real client, the real service, every kind of call, and what both are told.
// Must not look at frames: what a caller sees is what counts.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Metadata } from '@grpc/grpc-js';
import type { Binding } from '../../../../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../../../../gateway/core/pipeline.ts';
import { BUILT_IN_PLUGINS, loadPlugins } from '../../../../../gateway/loader.ts';
import { readConfig } from '../../../../../gateway/testing/config.ts';
import { fakeConsumers } from '../../../../../gateway/testing/consumers.ts';
import { makePlugin } from '../../../../support/engine.ts';
import { createStage } from '../../../../support/proxied-api.ts';
import { call, ECHO, startEcho } from '../../../../support/wire/grpc.ts';
import { startOrigin } from '../../../../support/wire/origin.ts';
import { deserialize, serialize, serve } from './served-client.ts';

describe('gRPC through the gateway', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  it('carries every kind of call', async () => {
    const { client } = await serve(stage, await startEcho());

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
    const { client } = await serve(
      stage,
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
    const { client } = await serve(stage, await startEcho());

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
    const { client } = await serve(stage, await startEcho(), { plugins });

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
    const { client } = await serve(stage, gone);

    const end = await call(client, '');

    assert.deepEqual([end.code, end.details], [14, 'no connection to the upstream could be opened']);
  });

  it('asks for keys and counts calls', async () => {
    const all = await loadPlugins([BUILT_IN_PLUGINS]);
    const plugins = ['key-auth', 'rate-limiting'].map((name) => all.get(name) as LoadedPlugin);
    const configOf = (name: string, config: object): Binding['config'] =>
      readConfig(pathToFileURL(join(BUILT_IN_PLUGINS, name, '/')), config);
    const { client } = await serve(stage, await startEcho(), {
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

  it('tells what is no service as the protocol has it', async () => {
    const { client } = await serve(stage, await startOrigin((_, response) => response.writeHead(404).end('not here')));

    // https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md
    assert.equal((await call(client, 'x')).code, 12);
  });
});
