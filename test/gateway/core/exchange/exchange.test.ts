// What plugins may do to an exchange in a real gateway, at the wrong time or with the wrong values, and what becomes of it.
// Must not test the built-in plugins.
import assert from 'node:assert/strict';
import { GatewayError, type Plugin } from '../../../../gateway/core/plugin.ts';
import { makePlugin, openRaw, type TestGateway } from '../../../support/engine.ts';
import { makeRoute } from '../../../support/entities.ts';
import { createStage, type Stage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { headerOf, type Origin, startOrigin, startTcpOrigin } from '../../../support/wire/origin.ts';

type Hooks = Plugin<unknown, unknown>;

describe('an exchange', () => {
  let stage: Stage;
  let origin: Origin;

  beforeEach(async () => {
    stage = createStage();
    origin = await stage.open(startOrigin());
  });

  afterEach(() => stage.close());

  const start = (hooks: Hooks, timeoutMs = 1_000): Promise<TestGateway> =>
    stage.publishWith(origin.url, makePlugin('plugin', hooks, { timeoutMs }));

  async function send(gateway: TestGateway, head: string, body = ''): Promise<string> {
    const raw = await openRaw(gateway.port);
    raw.write(`${head} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n`);
    raw.write(body === '' ? '\r\n' : `Content-Length: ${body.length}\r\n\r\n${body}`);
    return (await raw.closed()).text;
  }

  describe('header fields of framing', () => {
    const FIELDS = ['Content-Length', 'Transfer-Encoding', 'Connection', 'Upgrade', 'Expect', 'Keep-Alive', 'Trailer'];

    for (const name of FIELDS) {
      it(`have no effect when a plugin sets ${name}`, async () => {
        const gateway = await start({
          onRequest: ({ request }) => request.headers.set(name, '3'),
          onResponse: ({ response }) => response?.headers.append(name, '3'),
        });

        const text = await send(gateway, 'POST /', 'hello');

        assert.match(text, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok$/);
        assert.deepEqual(text.match(/^(content-length|connection): .*$/gim), [
          'Content-Length: 2',
          'Connection: close',
        ]);
        assert.equal(origin.seen[0]?.body.toString(), 'hello');
      });

      it(`have no effect in an answer of a plugin with ${name}`, async () => {
        const gateway = await start({ onRequest: (exchange) => exchange.respond(200, { [name]: '3' }, 'mine') });

        const text = await send(gateway, 'GET /');

        assert.match(text, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nmine$/);
        assert.deepEqual(text.match(/^(content-length|connection): .*$/gim), [
          'Content-Length: 4',
          'Connection: close',
        ]);
      });
    }
  });

  it('gives the upstream one value of every field that the gateway writes, and the Host that a plugin set', async () => {
    const gateway = await start({
      onRequest: ({ request }) => {
        for (const name of ['Host', 'X-Forwarded-For', 'x-real-ip', 'X-Consumer-Id'])
          request.headers.set(name, 'other');
      },
    });

    await send(gateway, 'GET /');

    const values = ['host', 'x-forwarded-for', 'x-real-ip', 'x-consumer-id'].map((name) =>
      headerOf(origin.seen[0], name),
    );
    assert.deepEqual(values, [['other'], ['127.0.0.1'], ['127.0.0.1'], []]);
  });

  const WRONG: Readonly<Record<string, readonly [number, Hooks]>> = {
    'a path with dot segments': [400, { onRequest: ({ request }) => void Object.assign(request, { path: '/a/../b' }) }],
    'a path that is a URL': [
      400,
      { onRequest: ({ request }) => void Object.assign(request, { path: 'http://evil/' }) },
    ],
    'a query with a line end': [
      400,
      { onRequest: ({ request }) => void Object.assign(request, { query: 'a\r\nX: y' }) },
    ],
    'a Host that is none': [400, { onRequest: ({ request }) => request.headers.set('Host', 'a/b') }],
    'an id with a line end': [500, { onRequest: (exchange) => void Object.assign(exchange, { id: 'a\r\nX: y' }) }],
    'an answer with a line end': [500, { onRequest: (exchange) => exchange.respond(200, { x: 'a\r\nb' }) }],
    'status 101': [500, { onResponse: ({ response }) => void Object.assign(response ?? {}, { status: 101 }) }],
    'status NaN': [500, { onResponse: ({ response }) => void Object.assign(response ?? {}, { status: Number.NaN }) }],
  };
  for (const [what, [status, hooks]] of Object.entries(WRONG)) {
    it(`answers ${status} to ${what}`, async () => {
      const gateway = await start(hooks);

      const text = await send(gateway, 'GET /');

      assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.doesNotMatch(text, /^X: y/m);
    });
  }

  for (const how of ['throws', 'rejects with'] as const) {
    it(`answers though a plugin ${how} an error whose header cannot be written`, async () => {
      const error = new GatewayError('UNAUTHENTICATED', 'no', { headers: { 'www-authenticate': 'a\r\nb' } });
      const gateway = await start({
        onRequest: () => {
          if (how === 'throws') throw error;
          return Promise.reject(error);
        },
      });

      assert.match(await send(gateway, 'GET /'), /^HTTP\/1\.1 401 /);
    });
  }

  it('never strips a path that a plugin moved beside the prefix of the route', async () => {
    const plugin = makePlugin('move', {
      onRequest: ({ request }) => void Object.assign(request, { path: '/apiary/x' }),
    });
    const api = { routes: [makeRoute({ paths: ['/api'] })] };
    const gateway = await stage.publish(`${origin.url}/base`, { plugins: [plugin], api });

    await send(gateway, 'GET /api/x');

    assert.equal(origin.seen[0]?.target, '/base/apiary/x');
  });

  it('runs no further hook when the client leaves while one is pending, and logs once', async () => {
    const trace: string[] = [];
    let settle: (() => void) | undefined;
    const first = makePlugin(
      'first',
      {
        onRequest: () =>
          new Promise<void>((resolve) => {
            settle = resolve;
          }),
        onLog: () => void trace.push('first log'),
      },
      { stage: 'protect' },
    );
    const second = makePlugin('second', {
      onRequest: () => void trace.push('second request'),
      onUpstreamRequest: () => void trace.push('second upstream'),
    });
    const gateway = await stage.publish(origin.url, { plugins: [first, second] });
    const raw = await openRaw(gateway.port);

    raw.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await until(() => settle !== undefined);
    raw.socket.destroy();
    await until(() => trace.length > 0);
    settle?.();
    await (await fetch(`${gateway.url}//`)).text();

    assert.deepEqual(trace, ['first log']);
    assert.equal(origin.seen.length, 0);
  });

  it('is not harmed by a plugin that answers after its time, or after the end', async () => {
    let settle: (() => void) | undefined;
    const gateway = await start(
      {
        onRequest: async (exchange) => {
          if (exchange.request.path !== '/late') return;
          await new Promise<void>((resolve) => {
            settle = resolve;
          });
          exchange.respond(299, {}, 'late');
          exchange.request.setBody(Buffer.from('late'));
        },
      },
      20,
    );
    const raw = await openRaw(gateway.port);

    raw.write('GET /late HTTP/1.1\r\nHost: h\r\n\r\n');
    await raw.waitFor(/^HTTP\/1\.1 503 [\s\S]*\}$/);
    settle?.();
    raw.write('GET /next HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    const { text } = await raw.closed();

    assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 503', 'HTTP/1.1 200']);
  });

  for (const late of ['waits', 'answers'] as const) {
    it(`answers 502 when the upstream breaks off while a response hook is pending that then ${late}`, async () => {
      let hasReset = false;
      const broken = await stage.open(
        startTcpOrigin((socket) => {
          socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort');
        }),
      );
      const plugin = makePlugin('slow', {
        onResponse: async (exchange) => {
          for (const socket of broken.connections) socket.resetAndDestroy();
          await until(() => hasReset);
          if (late === 'answers') exchange.respond(201, {}, 'late');
        },
      });
      const gateway = await stage.publish(broken.url, { plugins: [plugin], api: { retries: { attempts: 0 } } });
      const raw = await openRaw(gateway.port);

      raw.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n');
      await raw.waitFor(/^HTTP\/1\.1 502 [\s\S]*\}$/);
      hasReset = true;
      raw.write('GET /a//b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      const { text } = await raw.closed();

      assert.deepEqual(text.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 502', 'HTTP/1.1 400']);
    });
  }
});
