// What counts against an upstream, who is kept away from it, and who is let through again.
// Must not test the counting itself: circuit.test.ts does.
import assert from 'node:assert/strict';
import { GatewayError } from 'sallyport/plugin';
import {
  fakeExchange,
  fakeHost,
  type RunningPlugin,
  readConfig,
  startPlugin,
  type TestHost,
  type UpstreamScript,
} from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const DOWN: UpstreamScript = { failure: 'connect-failed' };

function start(config: Partial<Config> = {}, host: TestHost = fakeHost()): Promise<RunningPlugin> {
  return startPlugin(plugin, {
    config: readConfig<Config>(folder, { minimumRequests: 2, probes: 1, ...config }),
    host,
  });
}

async function statusesOf(running: RunningPlugin, upstreams: readonly UpstreamScript[]): Promise<number[]> {
  const statuses: number[] = [];
  for (const upstream of upstreams) statuses.push((await running.send({ upstream })).status);
  return statuses;
}

describe('circuit-breaker', () => {
  it('answers by itself once most requests have failed, and says when to come again', async () => {
    const running = await start();
    await statusesOf(running, [DOWN, DOWN]);

    const { status, reachedUpstream, headers, body } = await running.send();

    assert.deepEqual([status, reachedUpstream, headers.get('retry-after')], [503, false, '5']);
    assert.equal(JSON.parse(body).code, 'CIRCUIT_OPEN');
  });

  it('lets a probe through after its time, and everybody when that succeeds', async () => {
    const host = fakeHost();
    const running = await start({}, host);
    await statusesOf(running, [DOWN, DOWN, {}]);
    host.clock.advance(4_001);
    const late = await running.send();
    host.clock.advance(999);

    assert.equal(late.headers.get('retry-after'), '1');
    assert.deepEqual(await statusesOf(running, [{}, DOWN, {}]), [200, 502, 200]);
  });

  it('opens again, for longer, when the probe fails', async () => {
    const host = fakeHost();
    const running = await start({}, host);
    await statusesOf(running, [DOWN, DOWN]);
    host.clock.advance(5_000);

    assert.deepEqual(await statusesOf(running, [{ status: 500 }, {}]), [500, 503]);
    assert.equal((await running.send()).headers.get('retry-after'), '10');
  });

  it('lets one probe through at a time', async () => {
    const host = fakeHost();
    const running = await start({}, host);
    await statusesOf(running, [DOWN, DOWN]);
    host.clock.advance(5_000);
    let answer: (() => void) | undefined;
    const answered = new Promise<object>((resolve) => {
      answer = () => resolve({});
    });

    const probe = running.send({ upstream: () => answered });
    const other = await running.send();
    answer?.();

    assert.equal(other.status, 503);
    assert.equal((await probe).status, 200);
    assert.equal((await running.send()).status, 200);
  });

  const faults: [string, UpstreamScript, boolean][] = [
    ['a connection that fails', DOWN, true],
    ['an answer that is none', { failure: 'invalid-response' }, true],
    ['no answer in time', { failure: 'response-timeout' }, true],
    ['no free connection', { failure: 'overloaded' }, true],
    ['500', { status: 500 }, true],
    ['503', { status: 503 }, true],
    ['501', { status: 501 }, false],
    ['404', { status: 404 }, false],
    ['429', { status: 429 }, false],
    ['a request body that broke off', { failure: 'request-aborted' }, false],
  ];
  for (const [name, upstream, counts] of faults) {
    it(`${counts ? 'counts' : 'does not count'} ${name}`, async () => {
      const running = await start();

      await statusesOf(running, [upstream, upstream]);

      assert.equal((await running.send()).reachedUpstream, !counts);
    });
  }

  it('counts the statuses that it is told to', async () => {
    const running = await start({ failureStatuses: [429] });

    await statusesOf(running, [{ status: 500 }, { status: 500 }, { status: 429 }, { status: 429 }]);

    assert.equal((await running.send()).reachedUpstream, false);
  });

  it('does not let a caller open the circuit by his own deadline', async () => {
    const running = await start();
    const upstream = { failure: 'deadline-exceeded' } as const;
    const request = { headers: { 'grpc-timeout': '1m' } };

    for (let sent = 0; sent < 3; sent++) await running.send({ request, upstream });

    assert.equal((await running.send()).reachedUpstream, true);
  });

  it('counts answers that are slow, where it is told from when they are', async () => {
    for (const [slowMs, isKeptAway] of [
      [2_000, true],
      [2_001, false],
      [undefined, false],
    ] as const) {
      const host = fakeHost();
      const running = await start(slowMs === undefined ? {} : { slowMs }, host);
      const upstream = (): object => {
        host.clock.advance(2_000);
        return {};
      };

      await statusesOf(running, [upstream, upstream]);

      assert.equal((await running.send()).reachedUpstream, !isKeptAway, `${slowMs}`);
    }
  });

  it('counts a body that broke off after a good head as failed, and one that the client left not', async () => {
    const config = readConfig<Config>(folder, { minimumRequests: 2, failurePercent: 100 });
    for (const [errorCode, isOpen] of [
      ['UPSTREAM_BROKEN', true],
      [undefined, false],
    ] as const) {
      const state = await plugin.setup?.(config, fakeHost());
      assert.ok(state);
      for (let sent = 0; sent < 2; sent++) {
        const exchange = fakeExchange({ response: { status: 200 }, outcome: { errorCode, isComplete: false } });
        void plugin.onUpstreamRequest?.(exchange, config, state);
        void plugin.onResponse?.(exchange, config, state);
        plugin.onLog?.(exchange, config, state);
      }

      const next = (): unknown => plugin.onUpstreamRequest?.(fakeExchange(), config, state);
      if (isOpen) assert.throws(next, (error) => error instanceof GatewayError && error.code === 'CIRCUIT_OPEN');
      else assert.doesNotThrow(next);
    }
  });

  it('keeps a circuit for each api, or for each route', async () => {
    for (const by of ['api', 'route'] as const) {
      const config = readConfig<Config>(folder, { minimumRequests: 1, by });
      const state = await plugin.setup?.(config, fakeHost());
      assert.ok(state);
      const visit = (route: string, errorCode?: string): void => {
        const exchange = fakeExchange({ route: { id: route, name: route }, outcome: { errorCode } });
        void plugin.onUpstreamRequest?.(exchange, config, state);
        plugin.onLog?.(exchange, config, state);
      };
      visit('first', 'UPSTREAM_BROKEN');

      assert.throws(() => visit('first'), { code: 'CIRCUIT_OPEN' });
      if (by === 'api') assert.throws(() => visit('second'), { code: 'CIRCUIT_OPEN' });
      else assert.doesNotThrow(() => visit('second'));
    }
  });

  it('tells of its turns in the log and on /metrics', async () => {
    const host = fakeHost();
    const running = await start({}, host);
    await statusesOf(running, [DOWN, DOWN, {}]);
    host.clock.advance(5_000);
    await running.send();

    const lines = host.logs.filter(({ message }) => message.startsWith('a circuit'));
    assert.deepEqual(
      lines.map(({ level, fields }) => [level, fields['state'], fields['failures'], fields['openMs']]),
      [
        ['warn', 'open', 2, 5_000],
        ['info', 'closed', 0, 0],
      ],
    );
  });

  for (const config of [
    { minimumRequests: 0 },
    { failurePercent: 101 },
    { failureStatuses: [200] },
    { slowMs: 0 },
    { by: 'consumer' },
    { unknown: 1 },
  ]) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});
