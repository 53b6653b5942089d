// The version before behind an installed one: when it takes over, when it gives back, and why it cannot.
import assert from 'node:assert/strict';
import type { BindingReport } from '../../../../gateway/core/engine.ts';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import type { Exchange, Plugin } from '../../../../gateway/core/plugin.ts';
import { keepPrevious, type PreviousVersion } from '../../../../gateway/core/setup/previous.ts';
import { splitPlugin } from '../../../../gateway/core/setup/split.ts';
import { shadowPlugin } from '../../../../gateway/core/shadow/shadow.ts';
import { makePlugin, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

type Hooks = Plugin<unknown, unknown>;
type Options = Parameters<typeof makePlugin>[2];

/** After so long an exchange may try what was set aside. */
const FIRST_REST_MS = 5_000;

describe('the version before', () => {
  let origin: Origin;
  let gateway: TestGateway;

  beforeEach(async () => {
    origin = await startOrigin();
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  const fails = (): never => {
    throw new TypeError('a bug of the new version');
  };

  function version(number: string, hooks: Hooks, options: Options = {}): LoadedPlugin {
    const made = makePlugin('acme', hooks, { failPolicy: 'previous', ...options });
    return { ...made, manifest: { ...made.manifest, version: number } };
  }

  /** Says in a header which version ran. */
  function stamp(number: string, more: Hooks = {}, options: Options = {}): LoadedPlugin {
    const onResponse = ({ response }: Exchange): void => response?.headers.append('x-version', number);
    return version(number, { onResponse, ...more }, options);
  }

  function pair(installed: LoadedPlugin, plugin: LoadedPlugin, more: Partial<PreviousVersion> = {}): LoadedPlugin {
    return keepPrevious(installed, { version: '1.0.0', plugin, problem: undefined, configs: {}, ...more });
  }

  async function start(plugin: LoadedPlugin, config: Readonly<Record<string, unknown>> = {}): Promise<void> {
    gateway = await startGateway({ plugins: [plugin] });
    const routes = [makeRoute({ id: 'r-1', paths: ['/'] })];
    const apis = [makeApi({ id: 'a-1', name: 'api', upstream: origin.url, routes })];
    await gateway.apply(putAll({ apis, bindings: [makeBinding({ id: 'b-1', plugin: 'acme', config })] }));
  }

  async function ask(): Promise<string | number> {
    const response = await fetch(gateway.url);
    const body = await response.text();
    if (response.status === 200) return response.headers.get('x-version') ?? 'none';
    return /"code":\s*"(\w+)"/.exec(body)?.[1] ?? response.status;
  }

  async function askTimes(count: number): Promise<readonly (string | number)[]> {
    const answers: (string | number)[] = [];
    for (let index = 0; index < count; index++) answers.push(await ask());
    return answers;
  }

  function report(): BindingReport {
    const [only] = gateway.engine.stats();
    return only ?? assert.fail('no binding');
  }

  it('takes the exchanges after five failures, and says so', async () => {
    await start(pair(version('1.1.0', { onRequest: fails }), stamp('1.0.0')));

    const before = report();
    const answers = await askTimes(9);

    assert.deepEqual(answers, [...new Array(5).fill('PLUGIN_FAILED'), ...new Array(4).fill('1.0.0')]);
    assert.deepEqual(before.previous, { version: '1.0.0', isRunning: false, problem: null });
    const { isAside, incident, previous } = report();
    assert.deepEqual([isAside, incident?.reason], [true, 'a bug of the new version']);
    assert.deepEqual(previous, { version: '1.0.0', isRunning: true, problem: null });
    const line = gateway.log.find(({ message }) => message.includes('set aside'));
    assert.deepEqual(line?.fields['previous'], previous);
  });

  it('does not run while the installed version works', async () => {
    let calls = 0;
    const onRequest = (): void => {
      calls++;
    };
    await start(pair(stamp('1.1.0'), stamp('1.0.0', { onRequest })));

    const answers = await askTimes(3);

    assert.deepEqual([answers, calls], [['1.1.0', '1.1.0', '1.1.0'], 0]);
  });

  it('has the configuration that it had, unless the binding was written since', async () => {
    const seen: unknown[] = [];
    const onRequest = (_exchange: Exchange, config: unknown): void => void seen.push(config);
    const configs = { 'b-1': { before: { word: 'old' }, after: { words: ['new'] } } };
    const plugin = pair(version('1.1.0', { onRequest: fails }), version('1.0.0', { onRequest }), { configs });
    await start(plugin, { words: ['new'] });
    await askTimes(6);

    const written = makeBinding({ id: 'b-1', plugin: 'acme', config: { words: ['newer'] } });
    await gateway.apply(putAll({ bindings: [written] }));
    await askTimes(6);

    assert.deepEqual(seen, [{ word: 'old' }, { words: ['newer'] }]);
  });

  it('bounds and refuses like a plugin that fails closed, and is set aside when it fails as well', async () => {
    const installed = version('1.1.0', { onRequest: fails });
    const before = version(
      '1.0.0',
      { onRequest: () => new Promise(() => undefined) },
      { timeoutMs: 10, failPolicy: 'open' },
    );
    await start(pair(installed, before));

    const answers = await askTimes(12);

    assert.deepEqual(answers, [
      ...new Array(5).fill('PLUGIN_FAILED'),
      ...new Array(5).fill('PLUGIN_TIMEOUT'),
      ...new Array(2).fill('PLUGIN_QUARANTINED'),
    ]);
    assert.deepEqual(report().previous?.isRunning, false);
    assert.match(report().previous?.problem ?? '', /it fails as well: it did not settle/);
  });

  it('leaves an exchange on the version that it began with', async () => {
    const letGo: (() => void)[] = [];
    const held = new Promise<void>((resolve) => letGo.push(resolve));
    let asked = 0;
    // The first exchange waits in its request hook until the others have failed.
    const onRequest = (): Promise<void> | never => (asked++ === 0 ? held : fails());
    await start(pair(stamp('1.1.0', { onRequest }), stamp('1.0.0', { onRequest: () => undefined })));
    const first = ask();
    await until(() => asked === 1);
    const others = await askTimes(6);

    for (const go of letGo) go();

    assert.deepEqual(others, [...new Array(5).fill('PLUGIN_FAILED'), '1.0.0']);
    assert.equal(await first, '1.1.0');
  });

  it('passes chunks, and sees every hook of its exchanges', async () => {
    const hooks: string[] = [];
    const note = (name: string) => (): void => void hooks.push(name);
    const before = version('1.0.0', {
      onRequest: note('request'),
      onUpstreamRequest: note('upstream'),
      onResponse: note('response'),
      onResponseChunk: (chunk) => Buffer.concat([chunk, Buffer.from(chunk.length > 0 ? '!' : '')]),
      onLog: note('log'),
    });
    await start(pair(version('1.1.0', { onResponse: fails }), before));
    await askTimes(5);
    hooks.length = 0;

    const body = await (await fetch(gateway.url)).text();

    assert.equal(body, 'ok!');
    await until(() => hooks.length === 4);
    assert.deepEqual(hooks, ['request', 'upstream', 'response', 'log']);
  });

  describe('cannot run', () => {
    const installed = (): LoadedPlugin => version('1.1.0', { onRequest: fails });
    const strict = { type: 'object', additionalProperties: false } as const;
    const missing = { pointer: '', code: 'DIGEST_MISMATCH', message: 'its bytes are others' };
    const cases: readonly (readonly [string, () => LoadedPlugin, RegExp])[] = [
      ['there is none', installed, /there is no version before/],
      [
        'it does not load',
        () => keepPrevious(installed(), { version: '1.0.0', plugin: undefined, problem: missing, configs: {} }),
        /its bytes are others/,
      ],
      [
        'the configuration does not fit its schema',
        () => pair(installed(), { ...stamp('1.0.0'), configSchema: strict }),
        /the configuration does not fit it: \/words/,
      ],
      [
        'it refuses its set-up',
        () => pair(installed(), stamp('1.0.0', { setup: fails })),
        /it cannot be set up: a bug/,
      ],
      [
        'it is of another stage',
        () => pair(installed(), stamp('1.0.0', {}, { stage: 'protect' })),
        /its stage is protect/,
      ],
    ];
    for (const [why, build, problem] of cases) {
      it(`because ${why}: the binding fails closed, and says why`, async () => {
        await start(build(), { words: [] });

        const answers = await askTimes(7);

        assert.deepEqual(answers, [...new Array(5).fill('PLUGIN_FAILED'), ...new Array(2).fill('PLUGIN_QUARANTINED')]);
        assert.equal(report().previous?.isRunning, false);
        assert.match(report().previous?.problem ?? '', problem);
      });
    }

    it('any more, once it is revoked', async () => {
      const plugin = pair(installed(), stamp('1.0.0'));
      await start(plugin);
      const answers = [...(await askTimes(6))];

      if (plugin.previous) plugin.previous.isStopped = true;
      answers.push(await ask());

      assert.deepEqual(answers.slice(5), ['1.0.0', 'PLUGIN_QUARANTINED']);
      assert.deepEqual(report().previous, { version: '1.0.0', isRunning: false, problem: 'it was revoked' });
    });
  });

  const besides: Readonly<Record<string, (installed: LoadedPlugin) => LoadedPlugin>> = {
    'on trial': (stable) => splitPlugin({ stable, canary: stamp('1.2.0'), percent: 0, key: 'request' }),
    'in the shadow': (installed) => shadowPlugin({ installed, candidate: stamp('1.2.0'), percent: 100, secrets: [] }),
  };
  for (const [where, join] of Object.entries(besides)) {
    it(`takes over also while another version is ${where}`, async () => {
      await start(join(pair(version('1.1.0', { onRequest: fails }), stamp('1.0.0'))));

      assert.equal((await askTimes(6)).at(-1), '1.0.0');
    });
  }

  it('is given back and closed with the installed one', async () => {
    const closed: string[] = [];
    const users = new Map<string, number>();
    const lent = (number: string, hooks: Hooks): LoadedPlugin => ({
      ...version(number, { ...hooks, setup: () => number, close: (state) => void closed.push(String(state)) }),
      lease: {
        take: () => void users.set(number, (users.get(number) ?? 0) + 1),
        release: () => void users.set(number, (users.get(number) ?? 0) - 1),
      },
    });
    await start(pair(lent('1.1.0', { onRequest: fails }), lent('1.0.0', {})));
    const before = Object.fromEntries(users);

    await gateway.apply([{ kind: 'binding', id: 'b-1' }]);
    await until(() => closed.length === 2);

    assert.deepEqual(before, { '1.1.0': 1, '1.0.0': 2 });
    assert.deepEqual(Object.fromEntries(users), { '1.1.0': 0, '1.0.0': 0 });
    assert.deepEqual(closed.sort(), ['1.0.0', '1.1.0']);
  });

  describe('after a rest', () => {
    const realNow = performance.now.bind(performance);
    let skewMs = 0;

    beforeEach(() => {
      skewMs = 0;
      performance.now = () => realNow() + skewMs;
    });

    afterEach(() => {
      performance.now = realNow;
    });

    it('gives the exchanges back when three tries of the installed version went well', async () => {
      let isBroken = true;
      const onRequest = (): void => (isBroken ? fails() : undefined);
      await start(pair(stamp('1.1.0', { onRequest }), stamp('1.0.0')));
      await askTimes(6);
      isBroken = false;

      const resting = await ask();
      skewMs += FIRST_REST_MS;
      const after = await askTimes(5);

      assert.deepEqual([resting, after], ['1.0.0', new Array(5).fill('1.1.0')]);
      assert.deepEqual([report().isAside, report().previous?.isRunning], [false, false]);
    });

    it('keeps them when the try fails, which costs one exchange', async () => {
      await start(pair(version('1.1.0', { onResponse: fails }), stamp('1.0.0', { onRequest: () => undefined })));
      await askTimes(6);

      skewMs += FIRST_REST_MS;
      const after = await askTimes(4);

      assert.deepEqual(after, ['PLUGIN_FAILED', '1.0.0', '1.0.0', '1.0.0']);
    });
  });
});
