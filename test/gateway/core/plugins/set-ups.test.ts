// When plugins are set up and closed as revisions come and go under open requests.
// Must not test what hooks do.
import assert from 'node:assert/strict';
import { makePlugin } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { type Hooks, openPluggedStage, type PluggedStage } from './plugged-stage.ts';

describe('plugins in a gateway', () => {
  let stage: PluggedStage;

  beforeEach(async () => {
    stage = await openPluggedStage();
  });

  afterEach(() => stage.close());

  it('keeps requests on the snapshot they began with, and closes a set-up after its last request', async () => {
    const closed: string[] = [];
    let release: (() => void) | undefined;
    const plugin: Hooks = {
      setup: (config) => (config as { readonly mark: string }).mark,
      onRequest: () =>
        new Promise((resolve) => {
          release = resolve;
        }),
      onResponse: (exchange, _, mark) => exchange.response?.headers.set('x-mark', String(mark)),
      close: (mark) => void closed.push(String(mark)),
    };
    const before = makeBinding({ plugin: 'held', config: { mark: 'old' } });
    const running = await stage.start([makePlugin('held', plugin, { timeoutMs: 10_000 })], [before]);

    const pending = fetch(running.url);
    await until(() => release !== undefined);
    await running.apply(putAll({ bindings: [{ ...before, config: { mark: 'new' } }] }));
    const closedWhileHeld = [...closed];
    release?.();
    const response = await pending;

    assert.deepEqual(closedWhileHeld, []);
    assert.equal(response.headers.get('x-mark'), 'old');
    await until(() => closed.length > 0);
    assert.deepEqual(closed, ['old']);
  });

  it('closes a set-up only after requests on every snapshot that held it', async () => {
    const closed: string[] = [];
    let release: (() => void) | undefined;
    const plugin: Hooks = {
      setup: (config) => (config as { readonly mark: string }).mark,
      onRequest: () =>
        new Promise((resolve) => {
          release = resolve;
        }),
      close: (mark) => void closed.push(String(mark)),
    };
    const binding = makeBinding({ plugin: 'held', config: { mark: 'old' } });
    const running = await stage.start([makePlugin('held', plugin, { timeoutMs: 10_000 })], [binding]);
    const pending = fetch(running.url);
    await until(() => release !== undefined);

    await running.apply(
      putAll({ apis: [makeApi({ id: 'a-2', name: 'other', upstream: stage.origin.url, routes: [] })] }),
    );
    await running.apply([{ kind: 'binding', id: binding.id }]);
    const closedWhileHeld = [...closed];
    release?.();
    await pending;

    assert.deepEqual(closedWhileHeld, []);
    await until(() => closed.length > 0);
    assert.deepEqual(closed, ['old']);
  });

  it('closes the set-ups of a discarded revision, and none that serves', async () => {
    const closed: string[] = [];
    const plugin: Hooks = {
      setup: (config) => (config as { readonly mark: string }).mark,
      close: (mark) => void closed.push(String(mark)),
    };
    const running = await stage.start(
      [makePlugin('kept', plugin)],
      [makeBinding({ plugin: 'kept', config: { mark: 'serves' } })],
    );
    const binding = makeBinding({ plugin: 'kept', config: { mark: 'discarded' }, scope: { api: 'a-1' } });

    const prepared = await running.engine.prepare({
      revision: 2,
      isReset: false,
      changes: putAll({ bindings: [binding] }),
    });
    if (prepared.ok) prepared.discard();
    await until(() => closed.length > 0);

    assert.deepEqual(closed, ['discarded']);
  });

  it('takes back what a set-up registered when it fails, is replaced or closes', async () => {
    const plugin: Hooks = {
      setup: (config, host) => {
        host.onReopen(() => undefined);
        if ((config as { readonly mark: string }).mark === 'broken') throw new Error('cannot work so');
        return undefined;
      },
    };
    const binding = makeBinding({ plugin: 'files', config: { mark: 'good' } });
    const running = await stage.start([makePlugin('files', plugin)], [binding]);

    await running.apply(putAll({ bindings: [{ ...binding, config: { mark: 'better' } }] }));
    const broken = { ...binding, config: { mark: 'broken' } };
    await assert.rejects(running.apply(putAll({ bindings: [broken] })));
    const whileServing = running.reopeners.size;
    await stage.stop();

    assert.deepEqual([whileServing, running.reopeners.size], [1, 0]);
  });

  it('runs the bindings of the api that a route now belongs to', async () => {
    const plugin: Hooks = { onResponse: (exchange) => exchange.response?.headers.set('x-guarded', '1') };
    const running = await stage.start([makePlugin('guard', plugin)], []);
    const route = makeRoute({ id: 'r-moves', paths: ['/moves'] });
    const first = makeApi({ id: 'a-1', name: 'first', upstream: stage.origin.url, routes: [route] });
    const second = makeApi({ id: 'a-2', name: 'second', upstream: stage.origin.url, routes: [] });
    const guard = makeBinding({ plugin: 'guard', scope: { api: 'a-2' } });
    await running.apply(putAll({ apis: [first, second], bindings: [guard] }));
    const before = (await fetch(`${running.url}/moves`)).headers.get('x-guarded');

    await running.apply(
      putAll({
        apis: [
          { ...first, routes: [] },
          { ...second, routes: [{ ...route }] },
        ],
      }),
    );
    const after = (await fetch(`${running.url}/moves`)).headers.get('x-guarded');

    assert.deepEqual([before, after], [null, '1']);
  });
});
