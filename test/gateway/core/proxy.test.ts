// Proxying over real sockets: what reaches the upstream, what comes back, and what happens when either side breaks off.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { Pool } from 'undici';
import type { Api } from '../../../gateway/core/model.ts';
import { openRaw, startGateway, type TestGateway } from '../../support/engine.ts';
import { makeApi, makeRoute, makeUpstream, putAll } from '../../support/entities.ts';
import {
  headerOf,
  type Origin,
  startOrigin,
  startRawOrigin,
  startTcpOrigin,
  type TcpOrigin,
} from '../../support/origin.ts';
import { until } from '../../support/until.ts';

describe('proxying', () => {
  const closers: (() => Promise<void>)[] = [];

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
  });

  async function open<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> {
    const started = await starting;
    closers.push(() => started.close());
    return started;
  }

  async function publish(upstream: string, fields: Partial<Api> = {}): Promise<TestGateway> {
    const gateway = await open(startGateway());
    const route = makeRoute({ paths: ['/api'] });
    await gateway.apply(putAll({ apis: [makeApi({ name: 'api', upstream, routes: [route], ...fields })] }));
    return gateway;
  }

  describe('requests', () => {
    it('strips the matched path, joins the base path and keeps query and encoding byte for byte', async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(`${origin.url}/base`);

      for (const path of ['/api/a%20b/%E2%82%AC?x=%2F&y=[1]', '/api', '/api/']) {
        await (await fetch(`${gateway.url}${path}`)).text();
      }
      const raw = await openRaw(gateway.port);
      raw.write('GET /api? HTTP/1.1\r\nHost: h\r\n\r\nGET /api/x? HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      await raw.closed();

      assert.deepEqual(
        origin.seen.map(({ target }) => target),
        ['/base/a%20b/%E2%82%AC?x=%2F&y=[1]', '/base', '/base/', '/base?', '/base/x?'],
      );
    });

    it('strips what was matched also when it came in another spelling, and keeps the rest as sent', async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(`${origin.url}/base`, { routes: [makeRoute({ paths: ['/users/@me', '/dir/'] })] });

      for (const path of ['/users/%40me/a%40b', '/users/%40me', '/users/@me/', '/dir/%40']) {
        await (await fetch(`${gateway.url}${path}`)).text();
      }

      assert.deepEqual(
        origin.seen.map(({ target }) => target),
        ['/base/a%40b', '/base', '/base/', '/base/%40'],
      );
    });

    it('takes an encoded delimiter to the route of the plain one, also by expression', async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(`${origin.url}/guarded`, {
        routes: [makeRoute({ paths: ['/@me', '=/a+b', '~/c:\\d+$'] })],
      });
      const api = makeApi({ name: 'open', upstream: `${origin.url}/open`, routes: [makeRoute({ paths: ['/'] })] });
      await gateway.apply(putAll({ apis: [api] }));

      for (const path of ['/%40me', '/a%2Bb', '/c%3A1', '/%2540me'])
        await (await fetch(`${gateway.url}${path}`)).text();

      assert.deepEqual(
        origin.seen.map(({ target }) => target.split('/')[1]),
        ['guarded', 'guarded', 'guarded', 'open'],
      );
    });

    it('sends the path whole when the route does not strip it', async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(origin.url, { routes: [makeRoute({ paths: ['/api'], stripPath: false })] });

      await (await fetch(`${gateway.url}/api/x`)).text();

      assert.equal(origin.seen[0]?.target, '/api/x');
    });

    it('sets its own headers and takes away every one by which a client could pretend', async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(origin.url);
      const raw = await openRaw(gateway.port);

      raw.write(
        'GET /api/x HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 6.6.6.6\r\nx_forwarded_for: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n' +
          'X-Real-IP: 6.6.6.6\r\nX-Consumer-Id: root\r\nX-CONSUMER-USERNAME: root\r\nX_Consumer_Id: root\r\nx-consumer_id: root\r\n' +
          'X-Credential-Id: 1\r\nX-Request-Id: forged\r\nX-Userinfo: root\r\nX-Forwarded-Proto: https\r\nKeep-Alive: 5\r\nTE: trailers\r\n' +
          'Proxy: http://evil\r\nX-Original-URL: /admin\r\nX_Rewrite_URL: /admin\r\n' +
          'Upgrade: h2c\r\nHTTP2-Settings: x\r\nProxy-Authorization: y\r\nVia: 1.0 before\r\nX-Mine: kept\r\nX-Hop: gone\r\n' +
          'Connection: close, X-Hop, Host, X-Forwarded-For, Content-Length\r\n\r\n',
      );
      await raw.closed();

      const [seen] = origin.seen;
      assert.ok(seen);
      const names = seen.rawHeaders.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
      assert.deepEqual(names.sort(), [
        'host',
        'via',
        'via',
        'x-forwarded-for',
        'x-forwarded-host',
        'x-forwarded-port',
        'x-forwarded-proto',
        'x-mine',
        'x-real-ip',
        'x-request-id',
      ]);
      assert.deepEqual(headerOf(seen, 'x-forwarded-for'), ['127.0.0.1']);
      assert.deepEqual(headerOf(seen, 'x-forwarded-proto'), ['http']);
      assert.deepEqual(headerOf(seen, 'x-forwarded-host'), ['shop.example']);
      assert.deepEqual(headerOf(seen, 'via'), ['1.0 before', '1.1 sallyport']);
      assert.deepEqual(headerOf(seen, 'host'), [`127.0.0.1:${origin.port}`]);
      assert.notEqual(headerOf(seen, 'x-request-id')[0], 'forged');
    });

    it('believes a trusted proxy about the client, from the right', async () => {
      const origin = await open(startOrigin());
      const gateway = await open(startGateway({ trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] }));
      await gateway.apply(
        putAll({ apis: [makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] })] }),
      );

      const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.1.1.1', 'x-forwarded-proto': 'https' };
      await (await fetch(gateway.url, { headers })).text();

      assert.deepEqual(headerOf(origin.seen[0], 'x-real-ip'), ['203.0.113.9']);
      assert.deepEqual(headerOf(origin.seen[0], 'x-forwarded-for'), ['6.6.6.6, 203.0.113.9, 10.1.1.1, 127.0.0.1']);
      assert.deepEqual(headerOf(origin.seen[0], 'x-forwarded-proto'), ['https']);
    });

    it("preserves the client's Host when the api says so", async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(origin.url, { preserveHost: true });
      const raw = await openRaw(gateway.port);

      raw.write('GET /api HTTP/1.1\r\nHost: Shop.Example:81\r\nConnection: close\r\n\r\n');
      await raw.closed();

      assert.deepEqual(headerOf(origin.seen[0], 'host'), ['Shop.Example:81']);
    });

    it('passes bodies on by length and chunked', async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(origin.url);

      await (await fetch(`${gateway.url}/api`, { method: 'POST', body: 'by length' })).text();
      const chunked = new ReadableStream({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('in '));
          controller.enqueue(new TextEncoder().encode('chunks'));
          controller.close();
        },
      });
      await (await fetch(`${gateway.url}/api`, { method: 'PUT', body: chunked, duplex: 'half' } as RequestInit)).text();

      assert.deepEqual(
        origin.seen.map(({ body }) => body.toString()),
        ['by length', 'in chunks'],
      );
      assert.deepEqual(headerOf(origin.seen[0], 'content-length'), ['9']);
      assert.deepEqual(headerOf(origin.seen[1], 'transfer-encoding'), ['chunked']);
    });

    it('gives leave to send only when somebody reads the body', async () => {
      const origin = await open(startOrigin());
      const gateway = await publish(origin.url);
      const refused = await openRaw(gateway.port);
      const accepted = await openRaw(gateway.port);

      refused.write('POST /other HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n');
      accepted.write(
        'POST /api HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n',
      );
      await accepted.waitFor(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
      accepted.write('abc');

      assert.match((await refused.closed()).text, /^HTTP\/1\.1 404 /);
      assert.match((await accepted.closed()).text, /HTTP\/1\.1 200 OK[\s\S]*ok$/);
      assert.equal(origin.seen[0]?.body.toString(), 'abc');
    });
  });

  describe('responses', () => {
    it('relays status, repeated header lines and bytes untouched, and its own Via', async () => {
      const origin = await open(
        startOrigin((_, response) => {
          response.writeHead(418, [
            'Set-Cookie',
            'a=%0d%0ax',
            'set-cookie',
            'b=2',
            'X-Odd',
            '\u00e9',
            'Connection',
            'x-hop',
            'x-hop',
            'gone',
          ]);
          response.end(Buffer.from([0, 255, 13, 10]));
        }),
      );
      const gateway = await publish(origin.url);
      const raw = await openRaw(gateway.port);

      raw.write('GET /api HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      const { text } = await raw.closed();

      assert.match(text, /^HTTP\/1\.1 418 /);
      assert.match(text, /\r\nSet-Cookie: a=%0d%0ax\r\nset-cookie: b=2\r\nX-Odd: \u00e9\r\n/);
      assert.match(text, /\r\nVia: 1\.1 sallyport\r\n/);
      assert.doesNotMatch(text, /x-hop/i);
      assert.ok(text.includes('\u0000\u00ff\r\n'));
    });

    it('answers HEAD with the length of the upstream and no body, and 204 and 304 without framing', async () => {
      const origin = await open(
        startOrigin(({ target }, response) => {
          const status = Number(target.slice(1));
          if (status === 200) response.setHeader('content-length', '5');
          response.writeHead(status).end(status === 200 ? 'hello' : undefined);
        }),
      );
      const gateway = await publish(origin.url);
      const raw = await openRaw(gateway.port);

      raw.write('HEAD /api/200 HTTP/1.1\r\nHost: h\r\n\r\n');
      const head = await raw.waitFor(/\r\n\r\n$/);
      raw.write(
        'GET /api/204 HTTP/1.1\r\nHost: h\r\n\r\nGET /api/304 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n',
      );
      const { text } = await raw.closed();

      assert.match(head, /content-length: 5\r\n/i);
      const rest = text.slice(head.length);
      assert.match(rest, /^HTTP\/1\.1 204 [\s\S]*\r\n\r\nHTTP\/1\.1 304 [\s\S]*\r\n\r\n$/);
      assert.doesNotMatch(rest, /content-length|transfer-encoding/i);
    });

    it('streams a large body in both directions in bounded memory while the client reads slowly', async () => {
      const size = 64 * 1024 * 1024;
      const block = Buffer.alloc(64 * 1024, 'x');
      const origin = await open(
        startRawOrigin((request, response) => {
          response.writeHead(200);
          let sent = 0;
          const more = (): void => {
            while (sent < size) {
              sent += block.length;
              if (!response.write(block)) {
                response.once('drain', more);
                return;
              }
            }
            response.end();
          };
          request.on('data', () => undefined).on('end', more);
        }),
      );
      const gateway = await publish(origin.url);
      const before = process.memoryUsage().rss;

      const upload = httpRequest(`${gateway.url}/api`, { method: 'POST' });
      const answered = once(upload, 'response');
      for (let sent = 0; sent < size; sent += block.length) if (!upload.write(block)) await once(upload, 'drain');
      upload.end();
      const [response] = await answered;
      let received = 0;
      for await (const chunk of response) received += chunk.length;

      assert.equal(received, size);
      const grownBy = (process.memoryUsage().rss - before) / 1024 / 1024;
      assert.ok(grownBy < 100, `grew by ${grownBy} MB with client, gateway and origin in one process`);
    }).timeout(60_000);
  });

  describe('breaking off', () => {
    it('closes the upstream request when the client leaves, before the head and in mid-body', async () => {
      const gone: Promise<unknown>[] = [];
      const origin = await open(
        startRawOrigin((request, response) => {
          gone.push(once(response, 'close'));
          if (request.url === '/body') response.write('first');
        }),
      );
      const gateway = await publish(origin.url);

      for (const path of ['/head', '/body']) {
        const raw = await openRaw(gateway.port);
        raw.write(`GET /api${path} HTTP/1.1\r\nHost: h\r\n\r\n`);
        if (path === '/body') await raw.waitFor(/first/);
        else await until(() => gone.length === 1);
        raw.socket.destroy();
      }

      await Promise.all(gone);
      assert.equal(gone.length, 2);
    });

    const BROKEN: readonly (readonly [string, string])[] = [
      ['a length that is not reached', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'],
      ['chunks without an end', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n'],
    ];
    for (const [what, bytes] of BROKEN) {
      for (const how of ['end', 'reset'] as const) {
        it(`shows the client an aborted message on ${what} and a ${how}`, async () => {
          const origin = await open(
            startTcpOrigin((socket) => {
              socket.write(bytes, () => (how === 'end' ? socket.end() : socket.resetAndDestroy()));
            }),
          );
          const gateway = await publish(origin.url, { retries: { attempts: 0 } });
          const pool = new Pool(gateway.url);
          closers.push(() => pool.destroy());

          const read = pool.request({ path: '/api', method: 'POST' }).then(({ body }) => body.text());

          await assert.rejects(read);
        });
      }
    }

    it('answers 502 when the upstream breaks off before its head is whole, or sends what is no HTTP', async () => {
      for (const bytes of [
        '',
        'HTTP/1.1 200 OK\r\nContent-Le',
        'nonsense\r\n\r\n',
        'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n',
      ]) {
        const origin = await open(startTcpOrigin((socket) => socket.end(bytes)));
        const gateway = await publish(origin.url, { retries: { attempts: 0 } });

        const response = await fetch(`${gateway.url}/api`, { method: 'POST' });

        assert.equal(response.status, 502, JSON.stringify(bytes));
        assert.doesNotMatch(await response.text(), /nonsense|127\.0\.0\.1/);
      }
    });

    it('answers 502 when nothing listens, 504 when the head does not come in time', async () => {
      const nobody = await startTcpOrigin(() => undefined);
      await nobody.close();
      const silent = await open(startTcpOrigin(() => undefined));
      const refused = await publish(nobody.url);
      const slow = await publish(silent.url, { timeouts: { connectMs: 1000, responseMs: 300, idleMs: 1000 } });

      const [first, second] = await Promise.all([fetch(`${refused.url}/api`), fetch(`${slow.url}/api`)]);

      assert.deepEqual([first.status, second.status], [502, 504]);
      assert.deepEqual(
        [await readCode(first), await readCode(second)],
        ['UPSTREAM_CONNECT_FAILED', 'UPSTREAM_TIMEOUT'],
      );
    });
  });

  describe('trying again', () => {
    /** Answers the first request on each connection and resets the connection on the second. */
    function startFlakyOrigin(): Promise<TcpOrigin> {
      return open(
        startTcpOrigin((socket, text) => {
          const requests = text.split('\r\n\r\n').length - 1;
          if (requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
          else socket.resetAndDestroy();
        }),
      );
    }

    it('sends an idempotent request again when a kept-alive connection was closed under it', async () => {
      const origin = await startFlakyOrigin();
      const gateway = await publish(origin.url);

      const statuses: number[] = [];
      for (let count = 0; count < 6; count++) {
        const response = await fetch(`${gateway.url}/api`);
        statuses.push(response.status);
        await response.text();
      }

      assert.deepEqual(statuses, [200, 200, 200, 200, 200, 200]);
    });

    it('never sends a POST twice', async () => {
      const origin = await startFlakyOrigin();
      const gateway = await publish(origin.url, { retries: { attempts: 5 } });

      for (let count = 0; count < 6; count++) {
        await (await fetch(`${gateway.url}/api/${count}`, { method: 'POST', body: 'x' })).text();
      }

      for (let count = 0; count < 6; count++) {
        assert.equal(origin.received().split(`POST /${count} `).length - 1, 1, `request ${count}`);
      }
    });

    it('takes another target when one refuses the connection, also for a POST', async () => {
      const nobody = await startTcpOrigin(() => undefined);
      await nobody.close();
      const origin = await open(startOrigin());
      const gateway = await open(startGateway());
      const targets = [nobody.port, origin.port].map((port) => ({ host: '127.0.0.1', port, weight: 1 }));
      const api = makeApi({ name: 'api', upstream: { name: 'pair' }, routes: [makeRoute({ paths: ['/'] })] });
      await gateway.apply(putAll({ upstreams: [makeUpstream({ name: 'pair', targets })], apis: [api] }));

      const statuses = await Promise.all(
        Array.from({ length: 8 }, async () => (await fetch(gateway.url, { method: 'POST', body: 'x' })).status),
      );

      assert.deepEqual(new Set(statuses), new Set([200]));
      assert.equal(origin.seen.length, 8);
    });
  });

  describe('balancing', () => {
    it('shares requests by weight and gives nothing to weight 0', async () => {
      const origins: Origin[] = [];
      for (let count = 0; count < 3; count++) origins.push(await open(startOrigin()));
      const weights = [3, 1, 0];
      const targets = origins.map(({ port }, index) => ({ host: '127.0.0.1', port, weight: weights[index] ?? 0 }));
      const gateway = await open(startGateway());
      const api = makeApi({ name: 'api', upstream: { name: 'three' }, routes: [makeRoute({ paths: ['/'] })] });
      await gateway.apply(putAll({ upstreams: [makeUpstream({ name: 'three', targets })], apis: [api] }));

      for (let count = 0; count < 40; count++) await (await fetch(gateway.url)).text();

      assert.deepEqual(
        origins.map(({ seen }) => seen.length),
        [30, 10, 0],
      );
    });

    it('answers 503 when an upstream has no target', async () => {
      const gateway = await open(startGateway());
      const api = makeApi({ name: 'api', upstream: { name: 'none' }, routes: [makeRoute({ paths: ['/'] })] });
      await gateway.apply(putAll({ upstreams: [makeUpstream({ name: 'none' })], apis: [api] }));

      const response = await fetch(gateway.url);

      assert.equal(response.status, 503);
      assert.equal(response.headers.get('retry-after'), '1');
    });
  });

  describe('draining', () => {
    it('finishes what is in flight, closes idle and half-open connections, and accepts no more', async () => {
      let answer: (() => void) | undefined;
      const origin = await open(
        startOrigin((_, response) => {
          answer = () => response.end('late');
        }),
      );
      const gateway = await publish(origin.url);
      const idle = await openRaw(gateway.port);
      const pending = fetch(`${gateway.url}/api`);
      await until(() => answer !== undefined);

      const drained = gateway.drain();
      const refused = connect(gateway.port, '127.0.0.1');
      const [error] = await once(refused, 'error');
      answer?.();
      const response = await pending;

      assert.equal(error.code, 'ECONNREFUSED');
      assert.equal(response.headers.get('connection'), 'close');
      assert.equal(await response.text(), 'late');
      await drained;
      await idle.closed();
    });
  });
});

async function readCode(response: Response): Promise<string> {
  const problem = (await response.json()) as { readonly code: string };
  return problem.code;
}
