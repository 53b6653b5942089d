// The version before where the installed one does not run at all: what it gets, what is said, and when it gives it back.
import assert from 'node:assert/strict';
import type { Binding, Install, PreviousPin } from '../../../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import type { Plugin } from '../../../../gateway/core/plugin.ts';
import { keepPrevious, type PreviousVersion, takePlace } from '../../../../gateway/core/setup/previous.ts';
import type { InstallReport } from '../../../../gateway/core/setup/runs.ts';
import type { LoadedInstall } from '../../../../gateway/core/setup/source.ts';
import { makePlugin, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeInstall, makeRoute, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

type Hooks = Plugin<unknown, unknown>;

const NAME = 'acme/stamp';
const INSTALL = makeInstall({ id: 'i-1', plugin: NAME, version: '1.1.0' });

describe('the version before, where the installed one does not run', () => {
  let origin: Origin;
  let gateway: TestGateway;
  let refuses: (config: unknown) => boolean;
  let configs: PreviousPin['configs'];
  let load: (running: LoadedPlugin | undefined) => LoadedInstall;
  const users = new Map<string, number>();
  const seen: unknown[] = [];

  beforeEach(async () => {
    users.clear();
    seen.length = 0;
    refuses = () => true;
    configs = {};
    origin = await startOrigin();
    gateway = await startGateway({ installs: { load: async (_install, running) => load(running) } });
    const apis = ['a', 'b'].map((name) =>
      makeApi({ id: name, name, upstream: origin.url, routes: [makeRoute({ id: `r-${name}`, paths: [`/${name}`] })] }),
    );
    await gateway.apply(putAll({ apis }));
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  const count = (version: string, by: number): unknown => users.set(version, (users.get(version) ?? 0) + by);

  /** Says in a header which version ran; refuses what the test has it refuse. */
  function makeVersion(version: string, setup: NonNullable<Hooks['setup']>): LoadedPlugin {
    const hooks: Hooks = { setup, onResponse: ({ response }) => response?.headers.set('x-version', version) };
    const made = makePlugin(NAME, hooks, { failPolicy: 'previous' });
    const lease = { take: () => void count(version, 1), release: () => void count(version, -1) };
    return { ...made, manifest: { ...made.manifest, version }, lease };
  }

  const installed = makeVersion('1.1.0', (config) => {
    if (refuses(config)) throw new Error('not with me');
  });
  const before = makeVersion('1.0.0', (config) => void seen.push(config));

  /** Loads both, as often as it is asked. */
  function loadBoth(plugin = before): void {
    const pair = keepPrevious(installed, { version: '1.0.0', plugin, problem: undefined, configs });
    load = () => {
      pair.lease?.take();
      return { loaded: pair, problem: undefined, mayGoOn: true };
    };
  }

  /** Loads the version before alone. */
  function loadBefore(): void {
    const instead = takePlace(before, configs);
    load = () => {
      instead.lease?.take();
      return { loaded: undefined, problem: { pointer: '', code: 'TEST', message: 'broken' }, mayGoOn: true, instead };
    };
  }

  const bind = (api: string, config: Binding['config'] = {}): Binding =>
    makeBinding({ id: `b-${api}`, plugin: NAME, scope: { api }, config });
  const put = (bindings: readonly Binding[], install: Install = INSTALL): Promise<void> =>
    gateway.apply(putAll({ installs: [install], bindings }));

  async function ask(api = 'a'): Promise<string | number> {
    const response = await fetch(`${gateway.url}/${api}`);
    await response.arrayBuffer();
    return response.status === 200 ? (response.headers.get('x-version') ?? 'none') : response.status;
  }

  const report = (): InstallReport | undefined => gateway.engine.installs()[0];

  it('has the bindings that the installed one refuses, and no others', async () => {
    refuses = (config) => (config as { bad?: boolean }).bad === true;
    loadBoth();

    await put([bind('a', { bad: true }), bind('b')]);

    assert.deepEqual([await ask('a'), await ask('b')], ['1.0.0', '1.1.0']);
    const { running, problem, previous } = report() ?? {};
    assert.deepEqual([running, problem?.code, problem?.message], ['1.1.0', 'SETUP_FAILED', 'not with me']);
    assert.deepEqual(previous, { version: '1.0.0', problem: null, isRunning: true });
    const told = gateway.engine.stats().map((one) => [one.binding, one.previous?.isRunning]);
    assert.deepEqual(told, [
      ['b-a', true],
      ['b-b', false],
    ]);
    const lines = gateway.log.filter(({ message }) => message.includes('runs on the version before'));
    assert.deepEqual(
      lines.map(({ fields }) => fields),
      [{ plugin: NAME, version: '1.0.0', binding: 'b-a' }],
    );
  });

  it('gives them back as soon as the installed one takes them', async () => {
    loadBoth();
    await put([bind('a')]);
    const first = await ask();
    refuses = () => false;

    await put([]);

    assert.deepEqual([first, await ask()], ['1.0.0', '1.1.0']);
    assert.deepEqual([report()?.problem, report()?.previous?.isRunning], [null, false]);
  });

  it('keeps its set-up while nothing changes', async () => {
    loadBoth();
    await put([bind('a')]);

    await put([]);

    assert.deepEqual([await ask(), seen.length], ['1.0.0', 1]);
  });

  it('has the configuration that a rollback would give it', async () => {
    configs = { 'b-a': { before: { word: 'old' }, after: { words: ['new'] } } };
    loadBoth();

    await put([bind('a', { words: ['new'] }), bind('b', { words: ['own'] })]);

    assert.deepEqual(seen, [{ word: 'old' }, { words: ['own'] }]);
  });

  it('leaves the binding to its fail policy when it refuses it as well, and says both reasons', async () => {
    loadBoth(
      makeVersion('1.0.0', () => {
        throw new Error('nor with me');
      }),
    );

    await put([bind('a')]);

    assert.equal(await ask(), 503);
    assert.match(
      report()?.problem?.message ?? '',
      /^not with me; the version before: it cannot be set up: nor with me$/,
    );
    assert.equal(report()?.previous?.isRunning, false);
  });

  it('never has a binding once it is revoked', async () => {
    loadBoth();
    await put([bind('a')]);
    const first = await ask();
    const previous = load(undefined).loaded?.previous as PreviousVersion;

    previous.isStopped = true;
    await put([]);

    assert.deepEqual([first, await ask()], ['1.0.0', 503]);
    const { problem, isRunning } = report()?.previous ?? {};
    assert.deepEqual([problem?.code, isRunning], ['REVOKED', false]);
  });

  it('takes the place of one that does not load, until that loads', async () => {
    configs = { 'b-a': { before: { word: 'old' }, after: {} } };
    refuses = () => false;
    loadBefore();
    await put([bind('a'), bind('b')]);
    const first = [await ask('a'), await ask('b')];
    const told = report();

    loadBoth();
    await put([]);

    assert.deepEqual(
      [first, seen.slice(0, 2)],
      [
        ['1.0.0', '1.0.0'],
        [{ word: 'old' }, {}],
      ],
    );
    assert.deepEqual([told?.wanted, told?.running, told?.problem?.code], ['1.1.0', '1.0.0', 'TEST']);
    assert.deepEqual(told?.previous, { version: '1.0.0', problem: null, isRunning: true });
    assert.deepEqual([await ask('a'), await ask('b')], ['1.1.0', '1.1.0']);
    assert.deepEqual([report()?.running, report()?.problem, report()?.previous?.isRunning], ['1.1.0', null, false]);
  });

  for (const [how, start] of [
    ['bindings', () => loadBoth()],
    ['all', () => loadBefore()],
  ] as const) {
    it(`is given back when the install goes, where it had ${how}`, async () => {
      start();
      await put([bind('a')]);
      const lent = users.get('1.0.0') ?? 0;

      await gateway.apply([
        { kind: 'binding', id: 'b-a' },
        { kind: 'install', id: 'i-1' },
      ]);

      assert.ok(lent > 0);
      await until(() => users.get('1.0.0') === 0 && (users.get('1.1.0') ?? 0) === 0);
    });
  }
});
