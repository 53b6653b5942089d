// Upstreams that break off, stall or answer what is no answer: the client gets a whole response, a clear error or a reset.
// Must not test healthy upstreams: test/gateway/core/proxy does.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { openRaw, type TestGateway } from '../../../support/engine.ts';
import { makeUpstream } from '../../../support/entities.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { startTcpOrigin, type TcpOrigin } from '../../../support/wire/origin.ts';

const HEADS = {
  length: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
  chunked: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
} as const;
const BODIES = { length: 'hello', chunked: '5\r\nhello\r\n0\r\n\r\n' } as const;

/** What may come instead of a response, and the status that it gives. */
const ODD: Readonly<Record<string, readonly [bytes: string, status: number, body: string]>> = {
  'two equal lengths': ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok', 502, ''],
  'both framings': [
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    502,
    '',
  ],
  'another transfer coding': [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    502,
    '',
  ],
  'a coding up to the close': ['HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok', 502, ''],
  'a folded header': ['HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok', 502, ''],
  '3000 header lines': [`HTTP/1.1 200 OK\r\n${'a: b\r\n'.repeat(3000)}Content-Length: 2\r\n\r\nok`, 502, ''],
  'a head above its bound': [`HTTP/1.1 200 OK\r\nA: ${'a'.repeat(70_000)}\r\nContent-Length: 2\r\n\r\nok`, 502, ''],
  'an upgrade that nobody asked for': ['HTTP/1.1 101 Switching Protocols\r\n\r\n', 502, ''],
  'two early hints': [
    `${'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(2)}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
    200,
    'ok',
  ],
  'early hints without an end': ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(5000), 502, ''],
  '204 with a body': ['HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok', 204, ''],
  '304 with a length': ['HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nETag: "a"\r\n\r\n', 304, ''],
  trailers: [
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
    200,
    'ok',
  ],
  'bytes after the end': ['HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 666 Forged\r\n\r\n', 200, 'ok'],
};

describe('an upstream', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  /** Answers each request by the path of the request it is. */
  const startByPath = (answer: (socket: Socket, path: string) => void): Promise<TcpOrigin> =>
    stage.open(
      startTcpOrigin((socket, text) => {
        if (!text.endsWith('\r\n\r\n')) return;
        answer(socket, /[\s\S]*^\w+ (\S+) HTTP\/1\.1/m.exec(text)?.[1] ?? '');
      }),
    );

  async function get(gateway: TestGateway, path: string, method = 'GET'): Promise<string> {
    const raw = await openRaw(gateway.port);
    raw.write(`${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    const { text, hadReset } = await raw.closed();
    return hadReset ? 'reset' : text;
  }

  for (const framing of ['length', 'chunked'] as const) {
    for (const how of ['end', 'reset'] as const) {
      it(`that breaks off by ${how} after any byte is a 502 or an aborted message (${framing})`, async () => {
        const head = HEADS[framing];
        const whole = head + BODIES[framing];
        const origin = await startByPath((socket, path) => {
          socket.write(whole.slice(0, Number(path.slice(1))) || '', () => {
            if (how === 'end') socket.end();
            else socket.resetAndDestroy();
          });
        });
        const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 0 } } });

        for (let cut = 0; cut <= whole.length; cut++) {
          const outcome = outcomeOf(await get(gateway, `/${cut}`));
          const allowed = cut < head.length ? ['502'] : ['502', 'aborted'];
          if (cut === whole.length) allowed.push('whole');
          assert.ok(allowed.includes(outcome), `after ${cut} bytes: ${outcome}`);
        }
      }).timeout(10_000);
    }
  }

  it('that breaks off shows a reset also to an HTTP/1.0 client, which reads until the connection closes', async () => {
    const origin = await startByPath((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    });
    const gateway = await stage.publish(origin.url);
    const raw = await openRaw(gateway.port);

    raw.write('GET / HTTP/1.0\r\n\r\n');
    await raw.waitFor(/hello/);
    for (const socket of origin.connections) socket.end();

    assert.equal((await raw.closed()).hadReset, true);
  });

  it('that breaks off behind any byte of a body without a length is never taken for whole', async () => {
    const whole = 'HTTP/1.1 200 OK\r\n\r\nhello';
    const origin = await startByPath((socket, path) => {
      const cut = Number(path.slice(3));
      socket.write(whole.slice(0, cut), () => (path.startsWith('/e/') ? socket.end() : socket.resetAndDestroy()));
    });
    const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 0 } } });

    for (let cut = whole.indexOf('hello'); cut <= whole.length; cut++) {
      const ended = await get(gateway, `/e/${cut}`);
      const reset = await get(gateway, `/r/${cut}`);

      const size = cut - whole.indexOf('hello');
      const expected = size === 0 ? '' : `${size}\r\n${whole.slice(-5, whole.length - 5 + size)}\r\n`;
      assert.equal(ended.slice(ended.indexOf('\r\n\r\n') + 4), `${expected}0\r\n\r\n`);
      assert.match(reset, /^reset$|^HTTP\/1\.1 502 /, `reset after ${cut} bytes`);
    }
  });

  for (const [what, [bytes, status, body]] of Object.entries(ODD)) {
    it(`that sends ${what} gives ${status}, and the next response is its own`, async () => {
      const origin = await startByPath((socket, path) => {
        socket.write(path === '/odd' ? bytes : 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext');
        if (bytes.includes(': gzip\r')) socket.end();
      });
      const gateway = await stage.publish(origin.url, { api: { retries: { attempts: 0 } } });

      // Early responses are relayed before the one that counts.
      const odd = (await get(gateway, '/odd')).replace(/^(?:HTTP\/1\.1 103 [^\r]*\r\n\r\n)+/, '');
      const next = await get(gateway, '/next');

      assert.match(odd, new RegExp(`^HTTP/1\\.1 ${status} `));
      if (status !== 502)
        assert.equal(
          odd
            .split('\r\n\r\n')
            .slice(1)
            .join()
            .replace(/^2\r\n|\r\n0,?$/g, ''),
          body,
        );
      assert.match(next, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nnext$/);
    });
  }

  it('may close kept-alive connections at their reuse: a GET never fails, whatever the load', async () => {
    const served = new Set<Socket>();
    const origin = await startByPath((socket) => {
      if (served.has(socket)) {
        socket.resetAndDestroy();
        return;
      }
      served.add(socket);
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
    const gateway = await stage.publish(origin.url);

    const statuses = new Map<number, number>();
    const some = async (): Promise<void> => {
      for (let count = 0; count < 25; count++) {
        const response = await fetch(gateway.url);
        await response.text();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 8 }, some));

    assert.deepEqual([...statuses], [[200, 200]]);
  }).timeout(10_000);

  describe('that is slow', () => {
    const timeouts = { connectMs: 1_000, responseMs: 400, idleMs: 400 };

    it('is given up on time: before the head with 504, in the body with a reset', async () => {
      const origin = await startByPath((socket, path) => {
        if (path === '/body') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel');
      });
      const gateway = await stage.publish(origin.url, { api: { timeouts, retries: { attempts: 0 } } });

      for (const [path, expected] of [
        ['/head', /^HTTP\/1\.1 504 [\s\S]*UPSTREAM_TIMEOUT/],
        ['/body', /^reset$/],
      ] as const) {
        const began = performance.now();
        assert.match(await get(gateway, path), expected);
        const tookMs = performance.now() - began;
        assert.ok(tookMs >= 390 && tookMs < 700, `${path} took ${tookMs} ms`);
      }
    });

    it('is given up in all when the time of the route is over, whatever the api says, and not blamed for it', async () => {
      const origins = await Promise.all(
        [1, 2].map(() =>
          startByPath((socket, path) => {
            if (path === '/body') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel');
          }),
        ),
      );
      const upstream = makeUpstream({
        name: 'slow',
        targets: origins.map(({ port }) => ({ host: '127.0.0.1', port, weight: 1 })),
        healthChecks: { passive: { failures: 1, ejectMs: 60_000 } },
      });
      const slow = { connectMs: 1_000, responseMs: 5_000, idleMs: 5_000, totalMs: 5_000 };
      const gateway = await stage.publish('', {
        upstreams: [upstream],
        api: { upstream: { name: 'slow' }, timeouts: slow, retries: { attempts: 3 } },
        route: { timeouts: { totalMs: 200 } },
      });

      for (const [path, expected] of [
        ['/head', /^HTTP\/1\.1 504 [\s\S]*UPSTREAM_TIMEOUT/],
        ['/body', /^reset$/],
      ] as const) {
        const began = performance.now();
        assert.match(await get(gateway, path), expected);
        const tookMs = performance.now() - began;
        assert.ok(tookMs >= 190 && tookMs < 500, `${path} took ${tookMs} ms`);
      }
      assert.ok(gateway.engine.health().every(({ isHealthy }) => isHealthy));
    });

    it('is given up when no connection comes about in time, and when its body never comes to an end', async () => {
      // Accepts, and never shakes hands.
      const silent = await stage.open(startTcpOrigin(() => undefined));
      const dripping = await startByPath((socket) => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n');
        const drip = setInterval(() => socket.write('.'), 50);
        socket.on('close', () => clearInterval(drip));
      });
      const tls = await stage.publish(silent.url.replace('http:', 'https:'), {
        api: { timeouts: { connectMs: 300, responseMs: 5_000, idleMs: 5_000 }, retries: { attempts: 0 } },
      });
      const plain = await stage.publish(dripping.url, { api: { timeouts: { ...timeouts, totalMs: 600 } } });

      for (const [gateway, expected, afterMs] of [
        [tls, /^HTTP\/1\.1 504 [\s\S]*UPSTREAM_TIMEOUT/, 300],
        [plain, /^reset$/, 600],
      ] as const) {
        const began = performance.now();
        assert.match(await get(gateway, '/'), expected);
        const tookMs = performance.now() - began;
        assert.ok(tookMs >= afterMs - 10 && tookMs < afterMs + 300, `${tookMs} ms`);
      }
    });

    it('is not blamed for a client that is slower', async () => {
      const origin = await stage.open(
        startTcpOrigin((socket, text) => {
          if (text.endsWith('end')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
        }),
      );
      const gateway = await stage.publish(origin.url, {
        api: { timeouts: { connectMs: 1_000, responseMs: 100, idleMs: 100 } },
      });
      const raw = await openRaw(gateway.port);

      raw.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 6\r\nConnection: close\r\n\r\nbeg');
      await new Promise((resolve) => setTimeout(resolve, 300));
      raw.write('end');

      assert.match((await raw.closed()).text, /^HTTP\/1\.1 200 /);
    });
  });
});

/** Says what a client makes of an answer. */
function outcomeOf(text: string): string {
  if (text.startsWith('HTTP/1.1 502 ')) return '502';
  return /\r\n\r\n(hello|5\r\nhello\r\n0\r\n\r\n)$/.test(text) ? 'whole' : 'aborted';
}
