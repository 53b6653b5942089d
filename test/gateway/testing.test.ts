// Holds the test kit to what the live pipeline does.
// Must not test a plugin of the product.
import assert from 'node:assert/strict';
import { definePlugin, GatewayError, type Plugin } from 'sallyport/plugin';
import { fakeConsumers, fakeExchange, fakeHost, runPlugin, startPlugin } from 'sallyport/testing';

describe('fakeExchange', () => {
  it('keeps repeated header lines apart and compares names without case', () => {
    const { headers } = fakeExchange({ headers: { 'X-Tag': ['a', 'b'] } }).request;

    headers.append('x-TAG', 'c');

    assert.equal(headers.get('X-TAG'), 'a');
    assert.deepEqual(headers.getAll('x-tag'), ['a', 'b', 'c']);
    assert.deepEqual(headers.entries(), [
      ['x-tag', 'a'],
      ['x-tag', 'b'],
      ['x-tag', 'c'],
    ]);
  });

  it('refuses a header value that would end the line and keeps the old one', () => {
    const { headers } = fakeExchange({ headers: { 'x-tag': 'a' } }).request;

    for (const value of ['a\r\nb: c', 'a\0', '\u0100']) assert.throws(() => headers.set('x-tag', value), TypeError);

    assert.equal(headers.get('x-tag'), 'a');
  });

  it('bounds the body it collects', async () => {
    const exchange = fakeExchange({ body: '12345' });

    await assert.rejects(exchange.request.readBody(4), { code: 'BODY_TOO_LARGE' });
  });
});

describe('fakeConsumers', () => {
  const consumers = fakeConsumers({ username: 'alice', credentials: [{ type: 'jwt', key: 'issuer' }] });

  it('finds a credential by what the store would look it up by', () => {
    assert.deepEqual(consumers.findByCredential('jwt', 'issuer'), consumers.identityOf('alice'));
    assert.equal(consumers.findByCredential('jwt', 'other'), undefined);
  });

  it('throws CANNOT_VERIFY when it is down', () => {
    const down = fakeConsumers();
    down.answer('down');

    assert.throws(() => down.findByCredential('jwt', 'issuer'), { code: 'CANNOT_VERIFY', status: 503 });
  });
});

describe('fakeHost', () => {
  it('allows exactly the limit in any window', async () => {
    const host = fakeHost();
    const limiter = host.limits.limiter({ name: 'l', windows: [{ requests: 2, windowMs: 1000 }], store: 'local' });
    const take = () => limiter.take('k');

    const before = [await take(), await take(), await take()];
    host.clock.advance(1001);

    assert.deepEqual(
      before.map(({ isAllowed, remaining }) => [isAllowed, remaining]),
      [
        [true, 1],
        [true, 0],
        [false, 0],
      ],
    );
    assert.equal((await take()).isAllowed, true);
  });

  it('answers fetch from the table and bounds the body', async () => {
    const host = fakeHost({ fetch: { 'https://a.test/': { status: 201, body: { a: 1 } } } });

    const { status, body } = await host.fetch('https://a.test/');

    assert.deepEqual([status, Buffer.from(body).toString()], [201, '{"a":1}']);
    await assert.rejects(host.fetch('https://a.test/', { maxBytes: 3 }), /too large/);
    await assert.rejects(host.fetch('https://b.test/'), /no answer/);
  });
});

describe('runPlugin', () => {
  it('runs the hooks in order around the upstream', async () => {
    const seen: string[] = [];
    const plugin: Plugin<string, number> = definePlugin<string, number>({
      setup: (config) => config.length,
      onRequest: (_exchange, config, state) => void seen.push(`request ${config} ${state}`),
      onUpstreamRequest: () => void seen.push('upstream'),
      onResponse: (exchange) => void seen.push(`response ${exchange.response?.status}`),
      onLog: (exchange) => void seen.push(`log ${exchange.outcome.responseBytes}`),
      close: () => void seen.push('close'),
    });

    const result = await runPlugin(plugin, { config: 'abc', upstream: { status: 201, body: 'ok' } });

    assert.deepEqual([result.status, result.body, result.reachedUpstream], [201, 'ok', true]);
    assert.deepEqual(seen, ['request abc 3', 'upstream', 'response 201', 'log 2', 'close']);
  });

  it('turns a GatewayError into the problem answer and still runs onResponse and onLog', async () => {
    const seen: string[] = [];
    const plugin: Plugin<undefined> = definePlugin<undefined>({
      onRequest() {
        throw new GatewayError('UNAUTHENTICATED', 'send a key', { headers: { 'www-authenticate': 'Key' } });
      },
      onResponse: (exchange) => void seen.push(`response ${exchange.response?.source}`),
      onLog: (exchange) => void seen.push(`log ${exchange.outcome.errorCode}`),
    });

    const result = await runPlugin(plugin, { config: undefined });

    assert.deepEqual([result.status, result.reachedUpstream], [401, false]);
    assert.equal(result.headers.get('www-authenticate'), 'Key');
    assert.deepEqual(Object(JSON.parse(result.body)).code, 'UNAUTHENTICATED');
    assert.deepEqual(seen, ['response gateway', 'log UNAUTHENTICATED']);
  });

  it('refuses the request when the plugin throws, unless it fails open', async () => {
    const broken: Plugin<undefined> = definePlugin<undefined>({
      onRequest() {
        throw new Error('bug');
      },
    });

    const closed = await runPlugin(broken, { config: undefined });
    const open = await runPlugin(broken, { config: undefined, manifest: { failPolicy: 'open' } });

    assert.deepEqual([closed.status, closed.reachedUpstream], [500, false]);
    assert.doesNotMatch(closed.body, /bug/);
    assert.deepEqual([open.status, open.reachedUpstream], [200, true]);
  });

  it('lets the plugin answer instead of the upstream, and replace the response', async () => {
    const answering: Plugin<undefined> = definePlugin<undefined>({
      onRequest: (exchange) => exchange.respond(204),
    });
    const replacing: Plugin<undefined> = definePlugin<undefined>({
      onResponse: (exchange) => exchange.respond(200, { 'x-by': 'plugin' }, 'mine'),
    });

    const answered = await runPlugin(answering, { config: undefined });
    const replaced = await runPlugin(replacing, { config: undefined, upstream: { status: 500, body: 'theirs' } });

    assert.deepEqual([answered.status, answered.reachedUpstream], [204, false]);
    assert.deepEqual([replaced.status, replaced.body, replaced.reachedUpstream], [200, 'mine', true]);
  });
});

describe('startPlugin', () => {
  it('keeps the state of one set-up over several exchanges', async () => {
    const counting: Plugin<undefined, { count: number }> = definePlugin<undefined, { count: number }>({
      setup: () => ({ count: 0 }),
      onRequest(exchange, _config, state) {
        state.count += 1;
        exchange.respond(200, {}, String(state.count));
      },
    });
    const running = await startPlugin(counting, { config: undefined });

    const bodies = [(await running.send()).body, (await running.send()).body];

    assert.deepEqual(bodies, ['1', '2']);
  });
});
