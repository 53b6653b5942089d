// What a plugin that fails does to its own requests, and to nothing else.
// Must not fail outside of a hook or a set-up.
import assert from 'node:assert/strict';
import { makePlugin } from '../../../support/engine.ts';
import { makeBinding, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { type Hooks, openPluggedStage, type PluggedStage } from './plugged-stage.ts';

describe('plugins in a gateway that fail', () => {
  let stage: PluggedStage;

  beforeEach(async () => {
    stage = await openPluggedStage();
  });

  afterEach(() => stage.close());

  const bug = new TypeError('secret detail');
  const FAILURES: Readonly<Record<string, Hooks>> = {
    'throw in a request hook': {
      onRequest: () => {
        throw bug;
      },
    },
    'reject in a request hook': { onRequest: () => Promise.reject(bug) },
    'throw in an upstream hook': {
      onUpstreamRequest: () => {
        throw bug;
      },
    },
    'throw in a response hook': {
      onResponse: () => {
        throw bug;
      },
    },
    'reject in a response hook': { onResponse: () => Promise.reject(bug) },
  };

  for (const [what, hooks] of Object.entries(FAILURES)) {
    it(`answer 500 without a word of the cause when they ${what} and fail closed`, async () => {
      const { url, log, engine } = await stage.start([makePlugin('broken', hooks)]);

      const response = await fetch(url);
      const text = await response.text();

      assert.equal(response.status, 500);
      assert.match(text, /PLUGIN_FAILED/);
      assert.doesNotMatch(text, /secret|TypeError|at /);
      assert.equal(log.filter(({ level }) => level === 'error').length, 1);
      assert.equal(engine.stats()[0]?.errors, 1);
    });

    it(`are passed over when they ${what} and fail open`, async () => {
      const { url, engine } = await stage.start([makePlugin('broken', hooks, { failPolicy: 'open' })]);

      const response = await fetch(url);

      assert.equal(await response.text(), 'ok');
      assert.equal(engine.stats()[0]?.errors, 1);
    });
  }

  it('answer 503 when they never settle, and count it', async () => {
    const { url, engine } = await stage.start([
      makePlugin('hung', { onRequest: () => new Promise(() => undefined) }, { timeoutMs: 50 }),
    ]);

    const response = await fetch(url);

    assert.equal(response.status, 503);
    assert.match(await response.text(), /PLUGIN_TIMEOUT/);
    assert.equal(engine.stats()[0]?.timeouts, 1);
  });

  it('harm nothing when they throw while logging', async () => {
    const { url, log } = await stage.start([
      makePlugin('broken', {
        onLog: () => {
          throw bug;
        },
      }),
    ]);

    await (await fetch(url)).text();
    await until(() => log.length > 0);

    assert.equal((await fetch(url)).status, 200);
  });

  it('break the message off when a chunk hook throws in mid-body', async () => {
    const { url } = await stage.start([
      makePlugin('broken', {
        onResponseChunk: () => {
          throw bug;
        },
      }),
    ]);

    await assert.rejects(async () => (await fetch(url)).text());
  });

  it('refuse the revision when set-up throws, and the old one keeps serving', async () => {
    let isBroken = false;
    const plugin: Hooks = {
      setup: () => {
        if (isBroken) throw new Error('cannot work so');
        return undefined;
      },
      onResponse: (exchange) => exchange.response?.headers.set('x-set', 'old'),
    };
    const running = await stage.start([makePlugin('picky', plugin)]);
    isBroken = true;
    const binding = makeBinding({ plugin: 'picky', scope: { api: 'a-1' } });

    const prepared = await running.engine.prepare({
      revision: 2,
      isReset: false,
      changes: putAll({ bindings: [binding] }),
    });
    const response = await fetch(running.url);

    assert.equal(prepared.ok, false);
    assert.deepEqual(prepared.ok ? [] : prepared.problems.map(({ id, message }) => [id, message]), [
      [binding.id, 'cannot work so'],
    ]);
    assert.equal(running.engine.revision, 1);
    assert.equal(response.headers.get('x-set'), 'old');
  });
});
