// Chunk hooks that take their time: bodies wait for them, in order and within bounds.
// Must not test hooks without a promise: test/gateway/core/plugins does.
import assert from 'node:assert/strict';
import { ChunkPipe, type ChunkTransform } from '../../../../gateway/core/exchange/chunk-pipe.ts';
import { definePlugin, type Plugin } from '../../../../gateway/core/plugin.ts';
import { fakeHost, runPlugin } from '../../../../gateway/testing.ts';
import { makePlugin, openRaw, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { type Origin, startRawOrigin } from '../../../support/wire/origin.ts';

const later = <Value>(value: Value): Promise<Value> => new Promise((resolve) => setImmediate(() => resolve(value)));
const upper = (chunk: Uint8Array): Uint8Array => Buffer.from(Buffer.from(chunk).toString().toUpperCase());

describe('a chunk hook that gives a promise', () => {
  it('changes a request and a response in order, to the last chunk', async () => {
    const delays = [3, 0, 2, 1];
    const wait = async (chunk: Uint8Array, last: boolean): Promise<Uint8Array> => {
      for (let turn = delays[chunk.length % 4] ?? 0; turn > 0; turn--) await later(undefined);
      return last ? Buffer.concat([upper(chunk), Buffer.from('!')]) : upper(chunk);
    };
    const plugin: Plugin<undefined> = definePlugin<undefined>({ onRequestChunk: wait, onResponseChunk: wait });
    const parts = ['abc', 'd', 'ef', 'ghij', 'k', 'lm', 'n', 'o', 'p', 'qr', 's'];

    const { status, body, sent } = await runPlugin(plugin, {
      config: undefined,
      request: { method: 'POST', body: parts },
      upstream: { body: parts },
    });

    assert.deepEqual([status, body, sent?.body], [200, 'ABCDEFGHIJKLMNOPQRS!', 'ABCDEFGHIJKLMNOPQRS!']);
  });

  it('changes a body that a plugin has read whole', async () => {
    const plugin: Plugin<undefined> = definePlugin<undefined>({
      onRequest: async (exchange) => void (await exchange.request.readBody()),
      onRequestChunk: (chunk) => later(upper(chunk)),
    });

    const { sent } = await runPlugin(plugin, { config: undefined, request: { method: 'POST', body: ['ab', 'cd'] } });

    assert.equal(sent?.body, 'ABCD');
  });

  it('drops and leaves chunks', async () => {
    const plugin: Plugin<undefined> = definePlugin<undefined>({
      onResponseChunk: (chunk) => later(chunk.length === 1 ? null : undefined),
    });

    const { body } = await runPlugin(plugin, { config: undefined, upstream: { body: ['a', 'bc', 'd', 'ef'] } });

    assert.equal(body, 'bcef');
  });

  it('refuses the request when it fails', async () => {
    const failing: Plugin<undefined> = definePlugin<undefined>({
      onRequestChunk: async () => {
        await later(undefined);
        throw new Error('bug');
      },
    });

    const { status } = await runPlugin(failing, { config: undefined, request: { method: 'POST', body: 'abc' } });

    assert.equal(status, 500);
  });

  it('leaves the chunk as it is when it fails open, and when it never settles', async () => {
    for (const onResponseChunk of [() => Promise.reject(new Error('bug')), () => new Promise<null>(() => undefined)]) {
      const plugin: Plugin<undefined> = definePlugin<undefined>({ onResponseChunk });

      const { body } = await runPlugin(plugin, {
        config: undefined,
        host: fakeHost(),
        manifest: { failPolicy: 'open', limits: { timeoutMs: 5, memoryMb: 32 } },
        upstream: { body: ['ab', 'cd'] },
      });

      assert.equal(body, 'abcd');
    }
  });
});

describe('a chunk hook that gives a promise, between sockets', () => {
  let origin: Origin;
  let gateway: TestGateway;

  async function start(hooks: Plugin<unknown, unknown>): Promise<void> {
    gateway = await startGateway({ plugins: [makePlugin('slow', hooks)] });
    const routes = [makeRoute({ id: 'r-1', paths: ['/'], methods: ['GET', 'POST'] })];
    const apis = [makeApi({ id: 'a-1', name: 'api', upstream: origin.url, routes })];
    await gateway.apply(putAll({ apis, bindings: [makeBinding({ plugin: 'slow' })] }));
  }

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  it('carries megabytes both ways whole, however slow it is', async () => {
    origin = await startRawOrigin((request, response) => void request.pipe(response));
    const slow = async (chunk: Uint8Array): Promise<Uint8Array> => later(Buffer.from(chunk));
    await start({ onRequestChunk: slow, onResponseChunk: slow });
    const body = Buffer.alloc(8 * 1024 * 1024, 'abcdefghijklmnopqrstuvwxyz');

    const answer = await fetch(gateway.url, { method: 'POST', body });

    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(body));
  });

  it('is let go of when the client leaves meanwhile', async () => {
    origin = await startRawOrigin((_request, response) => void response.end('abc'));
    let isAsked = false;
    let give: (chunk: Uint8Array) => void = () => undefined;
    let isComplete: boolean | undefined;
    await start({
      onResponseChunk(chunk) {
        isAsked = true;
        return new Promise((resolve) => {
          give = () => resolve(chunk);
        });
      },
      onLog: (exchange) => {
        isComplete = exchange.outcome.isComplete;
      },
    });
    const client = await openRaw(gateway.port);
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await until(() => isAsked);

    client.socket.destroy();
    await until(() => isComplete !== undefined);
    give(new Uint8Array(1));
    await later(undefined);

    assert.equal(isComplete, false);
  });

  it('breaks the request off when the client does, and never ends it as if it were whole', async () => {
    let end: string | undefined;
    origin = await startRawOrigin((request) => {
      request.on('aborted', () => {
        end = 'aborted';
      });
      request.on('error', () => undefined);
      request.on('end', () => {
        end = 'whole';
      });
      request.resume();
    });
    let calls = 0;
    await start({ onRequestChunk: (chunk) => (++calls > 1 ? new Promise(() => undefined) : later(chunk)) });
    const client = await openRaw(gateway.port);
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await until(() => calls === 1);
    client.write('3\r\ndef\r\n');
    await until(() => calls === 2);

    client.socket.destroy();
    await until(() => end !== undefined);

    assert.equal(end, 'aborted');
  });
});

describe('a pipe for chunks', () => {
  interface Bench {
    readonly pipe: ChunkPipe;
    readonly written: string[];
    readonly events: string[];
    hasRoom: boolean;
  }

  function openPipe(transform: ChunkTransform | undefined, isHolding = false): Bench {
    const written: string[] = [];
    const events: string[] = [];
    const bench = { written, events, hasRoom: true };
    const pipe = new ChunkPipe(
      {
        transform,
        write(chunk) {
          written.push(Buffer.from(chunk).toString());
          return bench.hasRoom;
        },
        end: () => void events.push('end'),
        resume: () => void events.push('resume'),
        onFailure: (error) => void events.push(String(error)),
      },
      isHolding,
    );
    return Object.assign(bench, { pipe });
  }

  const bytes = (text: string): Uint8Array => Buffer.from(text);

  it('asks to pause when it holds four, and to go on when they are gone', async () => {
    const gates: ((value: null | undefined) => void)[] = [];
    const bench = openPipe((chunk) => new Promise((resolve) => gates.push(() => resolve(chunk))));
    const answers = ['a', 'b', 'c', 'd', 'e'].map((text) => bench.pipe.write(bytes(text)));
    assert.deepEqual([answers, bench.written, gates.length], [[true, true, true, true, false], [], 1]);

    for (let at = 0; at < 5; at++) {
      assert.deepEqual(bench.events, []);
      gates[at]?.(undefined);
      await later(undefined);
    }

    assert.deepEqual([bench.written, bench.events], [['a', 'b', 'c', 'd', 'e'], ['resume']]);
  });

  it('does not go on while there is no room behind it', async () => {
    const bench = openPipe((chunk) => later(chunk));
    bench.hasRoom = false;
    for (const text of ['a', 'b', 'c', 'd', 'e']) bench.pipe.write(bytes(text));
    while (bench.written.length < 5) await later(undefined);
    assert.deepEqual(bench.events, []);

    bench.pipe.resume();

    assert.deepEqual(bench.events, ['resume']);
  });

  it('writes and tells nothing once it is closed', async () => {
    const bench = openPipe((chunk) => later(chunk));
    bench.pipe.write(bytes('a'));
    bench.pipe.write(bytes('b'));
    bench.pipe.end(undefined);

    bench.pipe.close();
    await later(undefined);
    await later(undefined);

    assert.deepEqual([bench.written, bench.events], [[], []]);
  });

  it('tells of a failure once, and drops what comes behind it', async () => {
    const bench = openPipe(async (chunk) => {
      if (Buffer.from(chunk).toString() === 'b') throw new Error('bug');
      return chunk;
    });
    for (const text of ['a', 'b', 'c']) bench.pipe.write(bytes(text));
    bench.pipe.end(undefined);
    for (let turn = 0; turn < 5; turn++) await later(undefined);

    assert.deepEqual([bench.written, bench.events], [['a'], ['Error: bug']]);
  });

  it('passes at once what a transform gives at once', () => {
    const bench = openPipe((chunk, last) => (last ? Buffer.from('!') : chunk));

    bench.pipe.write(bytes('a'));
    bench.pipe.end(undefined);

    assert.deepEqual([bench.written, bench.events], [['a', '!'], ['end']]);
  });

  it('holds what comes before it is released, then lets it pass in order', () => {
    const bench = openPipe(undefined, true);
    bench.pipe.write(bytes('a'));
    bench.pipe.write(bytes('b'));
    bench.pipe.end(undefined);
    assert.deepEqual([bench.written, bench.events], [[], []]);

    bench.pipe.release();

    assert.deepEqual([bench.written, bench.events], [['a', 'b'], ['end']]);
  });
});
