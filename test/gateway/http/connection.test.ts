// One client connection over its life: turns of pipelined requests, answers in their place, clients that stall or leave.
// Must not test what is answered: test/gateway/core/proxy does.
import assert from 'node:assert/strict';
import { makePlugin, openRaw } from '../../support/engine.ts';
import { createStage } from '../../support/proxied-api.ts';
import { until } from '../../support/until.ts';
import { startOrigin, startRawOrigin } from '../../support/wire/origin.ts';

describe('a client connection', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  describe('with pipelined requests', () => {
    it('sends one at a time upstream, and nothing of the rest when the client leaves', async () => {
      let running = 0;
      let most = 0;
      let seen = 0;
      const origin = await stage.open(
        startRawOrigin((request, response) => {
          seen++;
          running++;
          most = Math.max(most, running);
          response.on('close', () => running--);
          if (request.url !== '/2') response.end('ok');
        }),
      );
      const logged: string[] = [];
      const plugin = makePlugin('log', { onLog: ({ request }) => void logged.push(request.path) });
      const gateway = await stage.publishWith(origin.url, plugin);
      const raw = await openRaw(gateway.port);

      raw.write(Array.from({ length: 200 }, (_, at) => `GET /${at} HTTP/1.1\r\nHost: h\r\n\r\n`).join(''));
      await until(() => seen === 3);
      raw.socket.destroy();
      await until(() => running === 0 && logged.length === 3);

      assert.deepEqual([most, seen], [1, 3]);
      assert.deepEqual(logged, ['/0', '/1', '/2']);
    });

    it('answers every one of a thousand', async () => {
      const origin = await stage.open(startOrigin());
      const gateway = await stage.publish(origin.url);
      const raw = await openRaw(gateway.port);

      const request = 'GET / HTTP/1.1\r\nHost: h\r\n\r\n';
      raw.write(`${request.repeat(999)}GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
      const { text } = await raw.closed();

      assert.equal(text.split('HTTP/1.1 200').length - 1, 1000);
    }).timeout(10_000);

    const REFUSED: readonly (readonly [string, string, number])[] = [
      ['an unknown expectation', 'POST / HTTP/1.1\r\nHost: h\r\nExpect: x\r\nContent-Length: 0\r\n\r\n', 417],
      ['an unclear expectation', 'POST / HTTP/1.1\r\nHost: h\r\nExpect: y 100-continue\r\n\r\n', 417],
      ['CONNECT', 'CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n', 405],
      ['what is no HTTP', 'nonsense\r\n\r\n', 400],
      ['a bad header line', 'GET / HTTP/1.1\r\nHost: h\r\n: x\r\n\r\n', 400],
      ['bad framing', 'POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 010\r\n\r\n', 400],
    ];
    for (const [what, bytes, status] of REFUSED) {
      it(`answers ${what} after the request before it, then closes`, async () => {
        let answer: (() => void) | undefined;
        const origin = await stage.open(
          startOrigin((_, response) => {
            answer = () => response.end('first');
          }),
        );
        const gateway = await stage.publish(origin.url);
        const raw = await openRaw(gateway.port);

        raw.write(`GET / HTTP/1.1\r\nHost: h\r\n\r\n${bytes}`);
        await until(() => answer !== undefined);
        answer?.();
        const { text } = await raw.closed();

        assert.match(
          text,
          new RegExp(`^HTTP/1\\.1 200 OK[\\s\\S]*firstHTTP/1\\.1 ${status} [\\s\\S]*connection: close`, 'i'),
        );
        assert.equal(text.split('HTTP/1.1 ').length - 1, 2);
      });
    }
  });

  it('is refused above the bound for its address, until another one has closed', async () => {
    const gateway = await stage.publish((await stage.open(startOrigin())).url, { maxConnectionsPerIp: 1 });
    const ask = async (): Promise<string> => {
      const raw = await openRaw(gateway.port);
      raw.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
      return (await raw.closed()).text;
    };
    const first = await openRaw(gateway.port);

    const refused = await ask();
    first.socket.destroy();
    let accepted = '';
    // The gateway learns of the end a moment after us.
    while (accepted === '') accepted = await ask();

    assert.equal(refused, '');
    assert.match(accepted, /^HTTP\/1\.1 200 /);
  });

  for (const [what, bytes] of [
    ['said nothing yet', ''],
    ['began with an empty line', '\r\n'],
    ['was answered', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n'],
    ['was answered, and has sent an empty line', 'GET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n'],
  ] as const) {
    it(`is closed, without a word, when its client ${what} and falls silent`, async () => {
      const origin = await stage.open(startOrigin());
      const gateway = await stage.publish(origin.url, { headerTimeoutMs: 300, keepAliveMs: 300 });
      const raw = await openRaw(gateway.port);

      raw.write(bytes);
      const { text } = await raw.closed();

      assert.equal(text.split('HTTP/1.1 ').length - 1, bytes.startsWith('GET') ? 1 : 0);
    });
  }

  it('gets the response head as soon as the upstream sent it', async () => {
    let finish: (() => void) | undefined;
    const origin = await stage.open(
      startRawOrigin((_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
        finish = () => response.end('data: 1\n\n');
      }),
    );
    const gateway = await stage.publish(origin.url);
    const raw = await openRaw(gateway.port);

    raw.write('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    await raw.waitFor(/^HTTP\/1\.1 200 [\s\S]*\r\n\r\n$/);
    finish?.();

    assert.match((await raw.closed()).text, /data: 1/);
  });

  describe('with a request body that stalls', () => {
    for (const framing of ['Content-Length: 10\r\n\r\nab', 'Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n']) {
      it(`answers 408, closes, and releases the upstream (${framing.split(':', 1)})`, async () => {
        let wasReleased = false;
        const origin = await stage.open(
          startRawOrigin((request) => {
            request
              .on('error', () => undefined)
              .on('close', () => {
                wasReleased = true;
              });
            request.resume();
          }),
        );
        const gateway = await stage.publish(origin.url, { bodyIdleMs: 100 });
        const raw = await openRaw(gateway.port);

        raw.write(`POST / HTTP/1.1\r\nHost: h\r\n${framing}`);
        const { text } = await raw.closed();

        assert.match(text, /^HTTP\/1\.1 408 [\s\S]*connection: close[\s\S]*REQUEST_TIMEOUT/i);
        await until(() => wasReleased);
      });
    }

    it('answers 408 also when the body had been paused before, and to a plugin that reads it', async () => {
      const origin = await stage.open(startOrigin());
      const reader = makePlugin('reader', {
        onRequest: async ({ request }) => {
          if (request.path === '/read') await request.readBody();
        },
      });
      const gateway = await stage.publish(origin.url, { bodyIdleMs: 100, plugins: [reader] });
      const [paused, read] = [await openRaw(gateway.port), await openRaw(gateway.port)];

      paused.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000\r\n\r\n${'x'.repeat(4_000_000)}`);
      read.write('POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab');

      for (const raw of [paused, read]) assert.match((await raw.closed()).text, /^HTTP\/1\.1 408 /);
      assert.equal(origin.seen.length, 0);
    });
  });
});
