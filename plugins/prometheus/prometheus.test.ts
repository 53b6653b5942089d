// What prometheus counts, and by which labels.
import assert from 'node:assert/strict';
import type { Metrics } from 'sallyport/plugin';
import {
  type ExchangeOptions,
  fakeExchange,
  fakeHost,
  type RunningPlugin,
  readConfig,
  startPlugin,
  type TestHost,
} from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const REQUESTS = 'sallyport_http_requests_total';

function start(host: TestHost): Promise<RunningPlugin> {
  return startPlugin(plugin, { config: readConfig<Config>(folder), host });
}

/** Logs exchanges through the hook alone. */
async function log(host: TestHost, exchanges: readonly ExchangeOptions[]): Promise<void> {
  const config = readConfig<Config>(folder);
  const state = await plugin.setup?.(config, host);
  assert.ok(state);
  for (const exchange of exchanges) plugin.onLog?.(fakeExchange(exchange), config, state);
}

describe('prometheus', () => {
  it('counts requests by api, route, method and status', async () => {
    const host = fakeHost();
    const { metrics } = host;
    const running = await start(host);

    await running.send();
    await running.send();
    await running.send({ request: { method: 'POST' }, upstream: { status: 201 } });
    await running.send({
      upstream: () => {
        throw new Error('broke off');
      },
    });

    assert.equal(metrics.total(REQUESTS, 'api', 'route', 'GET', '200'), 2);
    assert.equal(metrics.total(REQUESTS, 'api', 'route', 'POST', '201'), 1);
    assert.equal(metrics.total(REQUESTS, 'api', 'route', 'GET', '502'), 1);
  });

  it('observes times in seconds, the wait for the upstream only where there was one', async () => {
    const host = fakeHost();

    await log(host, [{ outcome: { totalMs: 250, upstreamMs: 200 } }, { outcome: { totalMs: 1 } }]);

    assert.deepEqual(host.metrics.observed('sallyport_http_request_duration_seconds', 'api', 'route'), [0.25, 0.001]);
    assert.deepEqual(host.metrics.observed('sallyport_http_upstream_duration_seconds', 'api', 'route'), [0.2]);
  });

  it('adds up bytes both ways', async () => {
    const host = fakeHost();

    await log(host, [
      { outcome: { requestBytes: 10, responseBytes: 4 } },
      { outcome: { requestBytes: 5, responseBytes: 6 } },
    ]);

    assert.equal(host.metrics.total('sallyport_http_request_bytes_total', 'api', 'route'), 15);
    assert.equal(host.metrics.total('sallyport_http_response_bytes_total', 'api', 'route'), 10);
  });

  it('makes one label value of all methods that nobody knows', async () => {
    const host = fakeHost();

    await log(host, [{ method: 'BREW' }, { method: 'get' }]);

    assert.equal(host.metrics.total(REQUESTS, 'api', 'route', 'other', '0'), 2);
  });

  it('keeps routes apart and follows a renamed one', async () => {
    const host = fakeHost();
    const api = { id: 'a1', name: 'orders' };
    const response = { status: 200 };

    await log(host, [
      { api, route: { id: 'r1', name: 'list' }, response },
      { api, route: { id: 'r2', name: 'show' }, response },
      { api, route: { id: 'r1', name: 'search' }, response },
    ]);

    for (const route of ['list', 'show', 'search']) {
      assert.equal(host.metrics.total(REQUESTS, 'orders', route, 'GET', '200'), 1);
    }
  });

  it('looks a series up once, not for every request', async () => {
    const host = fakeHost();
    let lookups = 0;
    const metrics: Metrics = {
      counter: (...family) => {
        const made = host.metrics.counter(...family);
        return {
          series: (...labels) => {
            lookups += 1;
            return made.series(...labels);
          },
        };
      },
      histogram: (...family) => host.metrics.histogram(...family),
    };
    const running = await start({ ...host, metrics: { ...host.metrics, ...metrics } });

    for (let index = 0; index < 10; index++) await running.send();

    assert.equal(lookups, 3);
  });

  it('refuses a setting, for there is none', () => {
    assert.throws(() => readConfig(folder, { perConsumer: true }), { name: 'ConfigError' });
  });
});
