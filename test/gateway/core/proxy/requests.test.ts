// What of a client's request reaches the upstream, over real sockets: path, header fields, body.
// Must not choose among targets: targets.test.ts does.
import assert from 'node:assert/strict';
import type { Api } from '../../../../gateway/core/model.ts';
import { openRaw, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../../support/entities.ts';
import { createStage } from '../../../support/proxied-api.ts';
import { headerOf, startOrigin } from '../../../support/wire/origin.ts';

describe('proxying requests', () => {
  const stage = createStage();

  afterEach(() => stage.close());

  const publish = (upstream: string, api: Partial<Api> = {}): Promise<TestGateway> =>
    stage.publish(upstream, { route: { paths: ['/api'] }, api });

  it('strips the matched path, joins the base path and keeps query and encoding byte for byte', async () => {
    const origin = await stage.open(startOrigin());
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
    const origin = await stage.open(startOrigin());
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
    const origin = await stage.open(startOrigin());
    const gateway = await publish(`${origin.url}/guarded`, {
      routes: [makeRoute({ paths: ['/@me', '=/a+b', '~/c:\\d+$'] })],
    });
    const api = makeApi({ name: 'open', upstream: `${origin.url}/open`, routes: [makeRoute({ paths: ['/'] })] });
    await gateway.apply(putAll({ apis: [api] }));

    for (const path of ['/%40me', '/a%2Bb', '/c%3A1', '/%2540me']) await (await fetch(`${gateway.url}${path}`)).text();

    assert.deepEqual(
      origin.seen.map(({ target }) => target.split('/')[1]),
      ['guarded', 'guarded', 'guarded', 'open'],
    );
  });

  it('passes OPTIONS on as often as Max-Forwards allows, and answers itself when that is not at all', async () => {
    const origin = await stage.open(startOrigin((_, response) => response.end('from the target')));
    const gateway = await publish(origin.url);
    const ask = async (method: string, maxForwards: string): Promise<string> => {
      const answer = await fetch(`${gateway.url}/api`, { method, headers: { 'max-forwards': maxForwards } });
      return `${answer.status} ${await answer.text()}`;
    };

    const answers = [
      await ask('OPTIONS', '2'),
      await ask('OPTIONS', '0'),
      await ask('OPTIONS', 'none'),
      await ask('GET', '0'),
    ];

    assert.deepEqual(answers, ['200 from the target', '200 ', '200 from the target', '200 from the target']);
    assert.deepEqual(
      origin.seen.map((seen) => `${seen.method} ${headerOf(seen, 'max-forwards')}`),
      ['OPTIONS 1', 'OPTIONS none', 'GET 0'],
    );
  });

  it('sends the path whole when the route does not strip it', async () => {
    const origin = await stage.open(startOrigin());
    const gateway = await publish(origin.url, { routes: [makeRoute({ paths: ['/api'], stripPath: false })] });

    await (await fetch(`${gateway.url}/api/x`)).text();

    assert.equal(origin.seen[0]?.target, '/api/x');
  });

  it('sets its own headers and takes away every one by which a client could pretend', async () => {
    const origin = await stage.open(startOrigin());
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
    const origin = await stage.open(startOrigin());
    const gateway = await stage.open(startGateway({ trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] }));
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
    const origin = await stage.open(startOrigin());
    const gateway = await publish(origin.url, { preserveHost: true });
    const raw = await openRaw(gateway.port);

    raw.write('GET /api HTTP/1.1\r\nHost: Shop.Example:81\r\nConnection: close\r\n\r\n');
    await raw.closed();

    assert.deepEqual(headerOf(origin.seen[0], 'host'), ['Shop.Example:81']);
  });

  it('passes bodies on by length and chunked', async () => {
    const origin = await stage.open(startOrigin());
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
    const origin = await stage.open(startOrigin());
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
