// Who is counted with whom, what is refused, and what the client is told.
// Must not look at the keys of callers: caller-key.test.ts does.
import assert from 'node:assert/strict';
import { GatewayError, type Identity, type Limiter } from 'sallyport/plugin';
import {
  type ExchangeOptions,
  fakeConsumers,
  fakeExchange,
  fakeHost,
  type RunningPlugin,
  readConfig,
  startPlugin,
  type TestHost,
} from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const TWO_PER_TEN = [{ requests: 2, windowSeconds: 10 }];

function start(config: Partial<Config> = {}, host: TestHost = fakeHost()): Promise<RunningPlugin> {
  return startPlugin(plugin, { config: readConfig<Config>(folder, { limits: TWO_PER_TEN, ...config }), host });
}

async function statusesOf(running: RunningPlugin, requests: readonly ExchangeOptions[]): Promise<number[]> {
  const statuses: number[] = [];
  for (const request of requests) statuses.push((await running.send({ request })).status);
  return statuses;
}

function identities(): { alice: Identity; bob: Identity } {
  const consumers = fakeConsumers(
    { username: 'alice', credentials: [{ type: 'key-auth', key: 'alice-key' }] },
    { username: 'bob', credentials: [{ type: 'key-auth', key: 'bob-key' }] },
  );
  return { alice: consumers.identityOf('alice'), bob: consumers.identityOf('bob') };
}

/** A host whose shared store is what the test says; its local limits are the kit's. */
function hostWithStore(shared: Limiter): TestHost {
  const host = fakeHost();
  const limits = host.limits;
  return { ...host, limits: { limiter: (options) => (options.store === 'redis' ? shared : limits.limiter(options)) } };
}

const brokenStore: Limiter = { take: () => Promise.reject(new Error('connection refused')) };

describe('rate-limiting', () => {
  it('lets the limit through, answers 429 beyond it and never calls the upstream then', async () => {
    const running = await start();

    const first = await running.send();
    await running.send();
    const third = await running.send();

    assert.deepEqual([first.status, first.reachedUpstream], [200, true]);
    assert.deepEqual([third.status, third.reachedUpstream], [429, false]);
    assert.equal(JSON.parse(third.body).code, 'RATE_LIMITED');
  });

  it('lets a caller in again when his first request has left the window, and not before', async () => {
    const host = fakeHost();
    const running = await start({}, host);
    await running.send();
    host.clock.advance(4_000);
    await running.send();
    host.clock.advance(5_500);

    assert.deepEqual(await statusesOf(running, [{}]), [429]);

    host.clock.advance(600);

    assert.deepEqual(await statusesOf(running, [{}, {}]), [200, 429]);
  });

  it('tells the client what is left, on answers of every kind', async () => {
    const running = await start();

    const first = await running.send({ upstream: { headers: { ratelimit: 'theirs' } } });
    await running.send({
      upstream: () => {
        throw new GatewayError('UPSTREAM_TIMEOUT', 'too slow');
      },
    });
    const refused = await running.send();

    assert.deepEqual(first.headers.getAll('ratelimit'), ['"2-per-10s";r=1;t=10']);
    assert.equal(first.headers.get('ratelimit-policy'), '"2-per-10s";q=2;w=10');
    assert.equal(first.headers.get('ratelimit-limit'), '2');
    assert.equal(first.headers.get('ratelimit-remaining'), '1');
    assert.equal(first.headers.get('ratelimit-reset'), '10');
    assert.equal(first.headers.has('retry-after'), false);
    // The limiter counts in ticks and keeps a use for up to one longer: promising less would invite a refused retry.
    assert.equal(refused.headers.get('ratelimit'), '"2-per-10s";r=0;t=11');
    assert.equal(refused.headers.get('retry-after'), '11');
  });

  it('rounds Retry-After up to whole seconds', async () => {
    const host = fakeHost();
    const running = await start({}, host);
    await running.send();
    await running.send();
    host.clock.advance(8_900);

    assert.equal((await running.send()).headers.get('retry-after'), '2');
  });

  it('holds each of several limits and speaks of the one that decides', async () => {
    const running = await start({
      limits: [
        { requests: 100, windowSeconds: 60 },
        { requests: 1, windowSeconds: 1 },
      ],
    });

    const first = await running.send();
    const second = await running.send();

    assert.equal(first.headers.get('ratelimit-policy'), '"100-per-60s";q=100;w=60, "1-per-1s";q=1;w=1');
    assert.equal(first.headers.get('ratelimit'), '"1-per-1s";r=0;t=1');
    assert.equal(second.status, 429);
    assert.match(second.body, /the limit is 1 requests in 1 s/);
  });

  it('counts one budget whatever the method and path', async () => {
    const running = await start();

    const statuses = await statusesOf(running, [
      { method: 'GET', path: '/a' },
      { method: 'HEAD', path: '/b/', query: 'x=1' },
      { method: 'POST', path: '/%61' },
    ]);

    assert.deepEqual(statuses, [200, 200, 429]);
  });

  it('counts by consumer, and by address where there is none', async () => {
    const { alice, bob } = identities();
    const running = await start();

    const statuses = await statusesOf(running, [
      { identity: alice, clientIp: '192.0.2.1' },
      { identity: alice, clientIp: '192.0.2.2' },
      { identity: alice, clientIp: '192.0.2.3' },
      { identity: bob, clientIp: '192.0.2.3' },
      { clientIp: '192.0.2.3' },
      { clientIp: '192.0.2.3' },
      { clientIp: '192.0.2.3' },
      { clientIp: '192.0.2.4' },
    ]);

    assert.deepEqual(statuses, [200, 200, 429, 200, 200, 200, 429, 200]);
  });

  it('keeps the counts over a new set-up of the same binding, and those of two bindings apart', async () => {
    const host = fakeHost();
    const running = await start({}, host);
    await running.send();

    const again = await start({ limits: [{ requests: 3, windowSeconds: 10 }] }, host);
    const other = await start({}, { ...host, binding: { ...host.binding, id: 'another' } });

    assert.deepEqual(await statusesOf(again, [{}, {}, {}]), [200, 200, 429]);
    assert.deepEqual(await statusesOf(other, [{}]), [200]);
  });

  it('adds up the headers of several bindings on one response', async () => {
    const exchange = fakeExchange({ response: { status: 200 } });
    for (const [id, requests] of [
      ['inner', 5],
      ['outer', 2],
      ['outmost', 9],
    ] as const) {
      const host = fakeHost({ binding: { id, name: id } });
      const config = readConfig<Config>(folder, { limits: [{ requests, windowSeconds: 60 }] });
      const state = await plugin.setup?.(config, host);
      assert.ok(state);
      void plugin.onRequest?.(exchange, config, state);
      void plugin.onResponse?.(exchange, config, state);
    }

    const headers = exchange.response?.headers;
    assert.deepEqual(headers?.getAll('ratelimit'), [
      '"inner-5-per-60s";r=4;t=60',
      '"outer-2-per-60s";r=1;t=60',
      '"outmost-9-per-60s";r=8;t=60',
    ]);
    assert.deepEqual(headers?.getAll('ratelimit-remaining'), ['1']);
  });

  it('answers without a promise when the verdict is at hand', async () => {
    const config = readConfig<Config>(folder, { limits: TWO_PER_TEN });
    const state = await plugin.setup?.(config, fakeHost());
    assert.ok(state);

    assert.equal(plugin.onRequest?.(fakeExchange(), config, state), undefined);
  });

  it('says nothing on a response whose request it never saw', async () => {
    const config = readConfig<Config>(folder, { limits: TWO_PER_TEN });
    const state = await plugin.setup?.(config, fakeHost());
    assert.ok(state);
    const exchange = fakeExchange({ response: { status: 401, source: 'gateway' } });

    void plugin.onResponse?.(exchange, config, state);

    assert.deepEqual(exchange.response?.headers.entries(), []);
  });

  it('limits on the node alone while the shared store is away', async () => {
    const running = await start({ store: 'redis' }, hostWithStore(brokenStore));

    assert.deepEqual(await statusesOf(running, [{}, {}, {}]), [200, 200, 429]);
  });

  it('answers 503 while the shared store is away when told to fail closed', async () => {
    const running = await start({ store: 'redis', onStoreFailure: 'closed' }, hostWithStore(brokenStore));

    const { status, reachedUpstream, body } = await running.send();

    assert.deepEqual([status, reachedUpstream], [503, false]);
    assert.doesNotMatch(body, /connection refused/);
  });

  it('waits for a shared store', async () => {
    const shared: Limiter = {
      take: async () => ({ isAllowed: false, window: 0, remaining: 0, resetMs: 3_000 }),
    };
    const running = await start({ store: 'redis' }, hostWithStore(shared));

    const { status, headers } = await running.send();

    assert.equal(status, 429);
    assert.equal(headers.get('retry-after'), '3');
  });

  for (const config of [
    {},
    { limits: [] },
    { limits: [{ requests: 0, windowSeconds: 1 }] },
    { limits: [{ requests: 1, windowSeconds: 0.5 }] },
    { limits: [{ requests: 1, windowSeconds: 86_401 }] },
    { limits: TWO_PER_TEN, by: 'cookie' },
    { limits: TWO_PER_TEN, by: [] },
    { limits: TWO_PER_TEN, by: 'header:a b' },
    { limits: TWO_PER_TEN, store: 'cluster' },
  ]) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});
