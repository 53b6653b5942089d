// Two versions of a plugin side by side: who gets which, what is counted, and what a bad one can do.
import assert from 'node:assert/strict';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import { type Exchange, GatewayError, type Plugin } from '../../../../gateway/core/plugin.ts';
import { splitPlugin } from '../../../../gateway/core/setup/split.ts';
import { makePlugin, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

type Hooks = Plugin<unknown, unknown>;

describe('two versions of a plugin', () => {
  let origin: Origin;
  let gateway: TestGateway;

  beforeEach(async () => {
    origin = await startOrigin();
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  function version(number: string, hooks: Hooks, options: Parameters<typeof makePlugin>[2] = {}): LoadedPlugin {
    const made = makePlugin('acme', hooks, options);
    return { ...made, manifest: { ...made.manifest, version: number } };
  }

  /** Says in a header which version ran. */
  function stamp(number: string, more: Hooks = {}, options: Parameters<typeof makePlugin>[2] = {}): LoadedPlugin {
    const onResponse = ({ response }: Exchange): void => response?.headers.set('x-version', number);
    return version(number, { onResponse, ...more }, options);
  }

  async function start(split: LoadedPlugin): Promise<void> {
    gateway = await startGateway({ plugins: [split], trustedProxies: ['127.0.0.1'] });
    const routes = [makeRoute({ id: 'r-1', paths: ['/'] })];
    const apis = [makeApi({ id: 'a-1', name: 'api', upstream: origin.url, routes })];
    await gateway.apply(putAll({ apis, bindings: [makeBinding({ id: 'b-1', plugin: 'acme' })] }));
  }

  async function ask(ip: string): Promise<{ readonly status: number; readonly version: string | null }> {
    const response = await fetch(gateway.url, { headers: { 'x-forwarded-for': ip } });
    await response.text();
    return { status: response.status, version: response.headers.get('x-version') };
  }

  async function askAll(count: number): Promise<readonly Awaited<ReturnType<typeof ask>>[]> {
    const answers: Awaited<ReturnType<typeof ask>>[] = [];
    for (let index = 0; index < count; index++) answers.push(await ask(`10.0.${index >> 8}.${index & 255}`));
    return answers;
  }

  const fails = (): never => {
    throw new TypeError('a bug of the new version');
  };

  it('give the canary its part of the callers, and each caller the same version every time', async () => {
    const split = splitPlugin({ stable: stamp('1.0.0'), canary: stamp('1.1.0'), percent: 20, key: 'ip' });
    await start(split);

    const first = await askAll(400);
    const second = await askAll(400);

    assert.deepEqual(second, first);
    const canary = first.filter(({ version: seen }) => seen === '1.1.0').length;
    assert.ok(canary > 40 && canary < 120, `${canary} of 400 callers`);
    const report = split.split.report();
    assert.deepEqual([report.stable.exchanges, report.canary.exchanges], [2 * (400 - canary), 2 * canary]);
    assert.deepEqual([report.canary.version, report.canary.errors], ['1.1.0', 0]);
  });

  for (const [percent, expected] of [
    [0, '1.0.0'],
    [100, '1.1.0'],
  ] as const) {
    it(`give all to one side at ${percent} percent`, async () => {
      await start(splitPlugin({ stable: stamp('1.0.0'), canary: stamp('1.1.0'), percent, key: 'request' }));

      const seen = new Set((await askAll(50)).map((answer) => answer.version));

      assert.deepEqual([...seen], [expected]);
    });
  }

  it('give all to the stable version once the canary is stopped, but for exchanges that are on it', async () => {
    const letGo: (() => void)[] = [];
    const onRequest = (): Promise<void> => new Promise((resolve) => letGo.push(resolve));
    const canary = stamp('1.1.0', { onRequest });
    const split = splitPlugin({ stable: stamp('1.0.0'), canary, percent: 100, key: 'ip' });
    await start(split);
    const begun = ask('10.0.0.1');
    await until(() => letGo.length === 1);

    split.beside.isStopped = true;
    const after = await ask('10.0.0.1');
    for (const go of letGo) go();

    assert.deepEqual([(await begun).version, after.version], ['1.1.0', '1.0.0']);
    assert.equal(split.split.report().withdrawn, 1);
  });

  it('run all hooks of an exchange in one version, each with what its own set-up made', async () => {
    const mixed: string[] = [];
    const traced = (number: string): LoadedPlugin =>
      stamp(number, {
        setup: () => number,
        onRequest: (exchange, _config, state) => void exchange.state.set('acme:began', state),
        onLog: (exchange, _config, state) => {
          if (exchange.state.get('acme:began') !== state || state !== number) mixed.push(String(state));
        },
      });
    const split = splitPlugin({ stable: traced('1.0.0'), canary: traced('1.1.0'), percent: 50, key: 'request' });
    await start(split);

    const seen = new Set((await askAll(60)).map((answer) => answer.version));

    assert.deepEqual([seen.size, mixed], [2, []]);
  });

  it('withdraw a canary that fails, and leave all callers to the stable version', async () => {
    const canary = version('1.1.0', { onRequest: fails });
    const split = splitPlugin({ stable: stamp('1.0.0'), canary, percent: 100, key: 'ip' });
    await start(split);

    const answers = await askAll(20);

    assert.deepEqual(
      answers.map(({ status }) => status),
      [...new Array(5).fill(500), ...new Array(15).fill(200)],
    );
    const { withdrawn, incident, canary: fared, stable } = split.split.report();
    assert.deepEqual([withdrawn, fared.errors, stable.errors, stable.exchanges], [1, 5, 0, 15]);
    assert.equal(incident?.reason, 'a bug of the new version');
    assert.equal(gateway.engine.stats()[0]?.isAside, false);
  });

  it('lose nothing by a canary that fails open', async () => {
    const canary = version('1.1.0', { onRequest: fails }, { failPolicy: 'open' });
    await start(splitPlugin({ stable: stamp('1.0.0'), canary, percent: 100, key: 'ip' }));

    const answers = await askAll(8);

    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
  });

  it('bound a canary that never settles', async () => {
    const canary = version('1.1.0', { onRequest: () => new Promise(() => undefined) }, { timeoutMs: 20 });
    const split = splitPlugin({ stable: stamp('1.0.0'), canary, percent: 100, key: 'ip' });
    await start(split);

    const answers = await askAll(6);

    assert.deepEqual(
      answers.map(({ status }) => status),
      [503, 503, 503, 503, 503, 200],
    );
    assert.equal(split.split.report().canary.timeouts, 5);
  });

  it('count what a version refuses apart from what it fails at', async () => {
    const refuses = (): never => {
      throw new GatewayError('FORBIDDEN', 'not you');
    };
    const canary = version('1.1.0', { onRequest: refuses });
    const split = splitPlugin({ stable: stamp('1.0.0'), canary, percent: 100, key: 'ip' });
    await start(split);

    const answers = await askAll(8);

    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([403]));
    assert.deepEqual(
      [split.split.report().canary.refusals, split.split.report().canary.errors, split.split.report().withdrawn],
      [8, 0, 0],
    );
  });

  it('go on with the stable version where the canary cannot be set up', async () => {
    const canary = version('1.1.0', { setup: fails, onRequest: fails });
    const split = splitPlugin({ stable: stamp('1.0.0'), canary, percent: 100, key: 'ip' });
    await start(split);

    assert.deepEqual(await ask('10.0.0.1'), { status: 200, version: '1.0.0' });
    assert.equal(split.split.report().withdrawn, 1);
  });

  it('pass chunks through the version that the exchange is on', async () => {
    const shout = (number: string): LoadedPlugin =>
      version(number, {
        onResponseChunk: (chunk) => Buffer.concat([chunk, Buffer.from(chunk.length > 0 ? number : '')]),
      });
    await start(splitPlugin({ stable: shout('1.0.0'), canary: shout('1.1.0'), percent: 100, key: 'ip' }));

    assert.equal(await (await fetch(gateway.url)).text(), 'ok1.1.0');
  });
});
