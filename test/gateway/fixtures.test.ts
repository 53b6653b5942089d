// Fixtures of plugins: what passes, what each difference reads like, and what a broken plugin comes to.
// Must not need a sandbox: where code runs is not the fixtures' affair.
import assert from 'node:assert/strict';
import type { Manifest } from '../../gateway/core/manifest.ts';
import { GatewayError, type Plugin } from '../../gateway/core/plugin.ts';
import { fixtureSecrets, runFixtures } from '../../gateway/testing.ts';

const MANIFEST: Manifest = {
  name: 'acme/hello',
  version: '1.0.0',
  title: 'Hello',
  summary: 'Says hello.',
  stage: 'transform',
  hooks: ['onRequest', 'onResponse'],
  scopes: ['global'],
  failPolicy: 'open',
  limits: { timeoutMs: 1_000, memoryMb: 32 },
  permissions: { secrets: ['KEY'] },
  engines: { gateway: '^1.0.0' },
};
const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: { greeting: { type: 'string', default: 'Hello' } },
};
const GREETER: Plugin<unknown, unknown> = {
  onRequest(exchange) {
    if (exchange.request.path === '/closed') throw new GatewayError('FORBIDDEN', 'closed');
    exchange.request.path = `/v2${exchange.request.path}`;
    exchange.request.headers.set('x-via', 'hello');
  },
  onResponse(exchange, config) {
    const { greeting } = config as { readonly greeting: string };
    exchange.response?.headers.set('x-hello', `${greeting}, ${exchange.consumer?.username ?? 'world'}`);
  },
};

function run(plugin: Plugin<unknown, unknown>, fixture: unknown, budgetMs = 5_000) {
  const text = typeof fixture === 'string' ? fixture : JSON.stringify(fixture);
  return runFixtures(plugin, MANIFEST, SCHEMA, [{ name: 'one.json', text }], { budgetMs });
}

async function problemsOf(plugin: Plugin<unknown, unknown>, fixture: unknown): Promise<readonly string[]> {
  const [result] = await run(plugin, fixture);
  return result?.problems ?? ['no result'];
}

describe('runFixtures', () => {
  it('passes a fixture whose every expectation holds', async () => {
    const results = await run(GREETER, {
      name: 'greets alice',
      config: { greeting: 'Hi' },
      request: {
        method: 'POST',
        path: '/orders',
        query: 'x=1',
        headers: { accept: ['a/b', 'c/d'] },
        body: { id: 7 },
        consumer: { username: 'alice', groups: ['staff'] },
      },
      upstream: { status: 201, headers: { 'x-up': 'yes' }, body: { items: [1, { name: 'a' }] } },
      expect: {
        status: 201,
        response: { headers: { 'x-hello': 'Hi, alice', 'x-absent': null }, body: { items: [1, { name: 'a' }] } },
        sent: {
          path: '/v2/orders',
          query: 'x=1',
          headers: { 'x-via': 'hello', accept: ['a/b', 'c/d'] },
          body: '{"id":7}',
        },
      },
    });

    assert.deepEqual(results, [{ name: 'greets alice', ok: true, problems: [] }]);
  });

  it('says every difference with its place, what was expected and what came', async () => {
    const problems = await problemsOf(GREETER, {
      request: { path: '/orders' },
      upstream: { body: { items: [1, { name: 'a' }], more: true } },
      expect: {
        status: 201,
        response: { headers: { 'x-hello': null, 'x-none': 'a' }, body: { items: [1, { name: 'b' }] } },
        sent: { path: '/orders', query: 'a=1', headers: { 'x-via': ['a', 'b'] } },
      },
    });

    assert.deepEqual(problems, [
      'status: expected 201, got 200',
      'response.headers.x-hello: expected (absent), got "Hello, world"',
      'response.headers.x-none: expected "a", got (absent)',
      'response.body/items/1/name: expected "b", got "a"',
      'response.body/more: expected (absent), got true',
      'sent.path: expected "/orders", got "/v2/orders"',
      'sent.query: expected "a=1", got ""',
      'sent.headers.x-via: expected ["a","b"], got "hello"',
    ]);
  });

  it('tells a refusal, and that the upstream was not asked', async () => {
    const refused = { request: { path: '/closed' }, expect: { status: 403, sent: null } };

    assert.deepEqual(await problemsOf(GREETER, refused), []);
    assert.deepEqual(await problemsOf(GREETER, { ...refused, request: { path: '/open' } }), [
      'status: expected 403, got 200',
      'sent: the upstream was asked, and must not be',
    ]);
    assert.deepEqual(await problemsOf(GREETER, { ...refused, expect: { sent: {} } }), [
      'sent: the upstream was not asked',
    ]);
  });

  it('finds a hook that throws, even where the fail policy hides it', async () => {
    const broken: Plugin<unknown, unknown> = {
      onRequest() {
        throw new TypeError('x is not a function');
      },
    };

    assert.deepEqual(await problemsOf(broken, { request: {}, expect: { status: 200 } }), [
      'a hook failed: TypeError: x is not a function',
    ]);
  });

  it('fails when setup refuses', async () => {
    const broken: Plugin<unknown, unknown> = {
      setup() {
        throw new Error('greeting is rude');
      },
    };

    assert.deepEqual(await problemsOf(broken, { request: {}, expect: {} }), ['greeting is rude']);
  });

  it('checks the fixture and its configuration before it runs them', async () => {
    assert.match((await problemsOf(GREETER, '{'))[0] ?? '', /JSON/);
    assert.deepEqual(await problemsOf(GREETER, { request: { path: 'orders?a' }, expects: {} }), [
      '/expect: required field missing',
      '/expects: unknown field; known are $schema, name, config, request, upstream, expect',
      '/request/path: unexpected value; expected: a path such as /orders, without a query',
    ]);
    assert.deepEqual(await problemsOf(GREETER, { config: { greeting: 7 }, request: {}, expect: {} }), [
      'config/greeting: expected string',
    ]);
  });

  it('gives all fixtures one budget and waits for no plugin past it', async () => {
    const stuck: Plugin<unknown, unknown> = { setup: () => new Promise(() => undefined) };
    const text = '{"request":{},"expect":{}}';
    const files = [1, 2].map((number) => ({ name: `${number}.json`, text }));

    const results = await runFixtures(stuck, MANIFEST, SCHEMA, files, { budgetMs: 50 });

    const late = 'not finished within the 50 ms that all fixtures have together';
    assert.deepEqual(results, [
      { name: '1.json', ok: false, problems: [late] },
      { name: '2.json', ok: false, problems: [late] },
    ]);
  });

  it('gives each secret of the manifest a value that can be written down', () => {
    assert.deepEqual(fixtureSecrets(MANIFEST), { KEY: 'fixture-secret-KEY' });
  });
});
