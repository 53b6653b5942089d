// What of an upstream's response reaches the client, over real sockets, also while the gateway drains.
// Must not break responses off: breaking-off.test.ts does.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import type { Api } from '../../../../gateway/core/model.ts';
import { openRaw, type TestGateway } from '../../../support/engine.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { until } from '../../../support/until.ts';
import { startOrigin, startRawOrigin } from '../../../support/wire/origin.ts';

describe('proxying responses', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  const publish = (upstream: string, api: Partial<Api> = {}): Promise<TestGateway> =>
    stage.publish(upstream, { route: { paths: ['/api'] }, api });

  it('relays status, repeated header lines and bytes untouched, and its own Via', async () => {
    const origin = await stage.open(
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
    const origin = await stage.open(
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
    raw.write('GET /api/204 HTTP/1.1\r\nHost: h\r\n\r\nGET /api/304 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n');
    const { text } = await raw.closed();

    assert.match(head, /content-length: 5\r\n/i);
    const rest = text.slice(head.length);
    assert.match(rest, /^HTTP\/1\.1 204 [\s\S]*\r\n\r\nHTTP\/1\.1 304 [\s\S]*\r\n\r\n$/);
    assert.doesNotMatch(rest, /content-length|transfer-encoding/i);
  });

  it('streams a large body in both directions in bounded memory while the client reads slowly', async () => {
    const size = 64 * 1024 * 1024;
    const block = Buffer.alloc(64 * 1024, 'x');
    const origin = await stage.open(
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

describe('proxying draining', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  const publish = (upstream: string, api: Partial<Api> = {}): Promise<TestGateway> =>
    stage.publish(upstream, { route: { paths: ['/api'] }, api });

  it('finishes what is in flight, closes idle and half-open connections, and accepts no more', async () => {
    let answer: (() => void) | undefined;
    const origin = await stage.open(
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
