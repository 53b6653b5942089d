// Plugins in a real gateway: order, answers, conditions, and that a broken one harms only its own requests.
import assert from 'node:assert/strict';
import type { LoadedPlugin } from '../../../gateway/core/pipeline.ts';
import { type Consumer, type Exchange, GatewayError, type Plugin } from '../../../gateway/core/plugin.ts';
import { makePlugin, startGateway, type TestGateway } from '../../support/engine.ts';
import { makeApi, makeBinding, makeConsumer, makeRoute, putAll } from '../../support/entities.ts';
import { headerOf, type Origin, startOrigin } from '../../support/origin.ts';
import { until } from '../../support/until.ts';

type Hooks = Plugin<unknown, unknown>;

describe('plugins in a gateway', () => {
  let origin: Origin;
  let gateway: TestGateway | undefined;

  beforeEach(async () => {
    origin = await startOrigin();
  });

  afterEach(async () => {
    await gateway?.close();
    await origin.close();
  });

  async function start(
    plugins: readonly LoadedPlugin[],
    bindings = plugins.map(({ manifest }) => makeBinding({ plugin: manifest.name })),
  ): Promise<TestGateway> {
    gateway = await startGateway({ plugins });
    const routes = [makeRoute({ id: 'r-get', paths: ['/'], methods: ['GET', 'POST'] })];
    await gateway.apply(
      putAll({ apis: [makeApi({ id: 'a-1', name: 'api', upstream: origin.url, routes })], bindings }),
    );
    return gateway;
  }

  function tracer(
    name: string,
    trace: string[],
    stage: 'protect' | 'limit' | 'transform',
    more: Hooks = {},
  ): LoadedPlugin {
    return makePlugin(
      name,
      {
        onRequest: () => void trace.push(`${name} request`),
        onUpstreamRequest: () => void trace.push(`${name} upstream`),
        onResponse: () => void trace.push(`${name} response`),
        onLog: () => void trace.push(`${name} log`),
        ...more,
      },
      { stage },
    );
  }

  it('runs request hooks outermost first and all later hooks in reverse', async () => {
    const trace: string[] = [];
    const { url } = await start([tracer('outer', trace, 'protect'), tracer('inner', trace, 'transform')]);

    await (await fetch(url)).text();
    await until(() => trace.includes('outer log'));

    assert.deepEqual(trace, [
      'outer request',
      'inner request',
      'outer upstream',
      'inner upstream',
      'inner response',
      'outer response',
      'inner log',
      'outer log',
    ]);
  });

  it('ends the walk at an answer: response hooks of those reached, log hooks of all, no upstream', async () => {
    const trace: string[] = [];
    const answer: Hooks = { onRequest: (exchange) => exchange.respond(202, { 'x-a': 'b' }, 'mine') };
    const { url } = await start([
      tracer('first', trace, 'protect'),
      tracer('middle', trace, 'limit', answer),
      tracer('never', trace, 'transform'),
    ]);

    const response = await fetch(url);
    const text = await response.text();
    await until(() => trace.includes('first log'));

    assert.deepEqual([response.status, response.headers.get('x-a'), text], [202, 'b', 'mine']);
    assert.deepEqual(trace, [
      'first request',
      'middle response',
      'first response',
      'never log',
      'middle log',
      'first log',
    ]);
    assert.equal(origin.seen.length, 0);
  });

  it('waits for promises, and lets response hooks change what a later one sees', async () => {
    const slow: Hooks = {
      onRequest: async (exchange) => {
        await Promise.resolve();
        exchange.request.headers.set('x-slow', '1');
      },
      onResponse: async (exchange) => {
        await Promise.resolve();
        if (exchange.response) exchange.response.status = 203;
        exchange.response?.headers.set('x-added', exchange.response.source);
      },
    };
    const { url } = await start([makePlugin('slow', slow)]);

    const response = await fetch(url);

    assert.deepEqual(
      [response.status, response.headers.get('x-added'), await response.text()],
      [203, 'upstream', 'ok'],
    );
    assert.deepEqual(headerOf(origin.seen[0], 'x-slow'), ['1']);
  });

  it('passes bodies through chunk hooks both ways', async () => {
    const upper = (chunk: Uint8Array): Uint8Array => Buffer.from(Buffer.from(chunk).toString().toUpperCase());
    const plugin: Hooks = {
      onRequestChunk: upper,
      onResponseChunk: (chunk, last) => (last ? Buffer.from('!') : upper(chunk)),
    };
    const { url } = await start([makePlugin('shout', plugin)]);

    const response = await fetch(url, { method: 'POST', body: 'abc' });

    assert.equal(await response.text(), 'OK!');
    assert.equal(origin.seen[0]?.body.toString(), 'ABC');
  });

  it('lets a plugin read, replace and bound the body', async () => {
    const plugin: Hooks = {
      onRequest: async (exchange) => {
        const body = await exchange.request.readBody(5);
        exchange.request.setBody(Buffer.concat([body, body]));
      },
    };
    const { url } = await start([makePlugin('double', plugin)]);

    await (await fetch(url, { method: 'POST', body: 'ab' })).text();
    const tooLarge = await fetch(url, { method: 'POST', body: 'abcdef' });

    assert.equal(origin.seen[0]?.body.toString(), 'abab');
    assert.deepEqual(headerOf(origin.seen[0], 'content-length'), ['4']);
    assert.equal(tooLarge.status, 413);
    assert.equal(origin.seen.length, 1);
  });

  describe('that fail', () => {
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
        const { url, log, engine } = await start([makePlugin('broken', hooks)]);

        const response = await fetch(url);
        const text = await response.text();

        assert.equal(response.status, 500);
        assert.match(text, /PLUGIN_FAILED/);
        assert.doesNotMatch(text, /secret|TypeError|at /);
        assert.equal(log.filter(({ level }) => level === 'error').length, 1);
        assert.equal(engine.stats()[0]?.errors, 1);
      });

      it(`are passed over when they ${what} and fail open`, async () => {
        const { url, engine } = await start([makePlugin('broken', hooks, { failPolicy: 'open' })]);

        const response = await fetch(url);

        assert.equal(await response.text(), 'ok');
        assert.equal(engine.stats()[0]?.errors, 1);
      });
    }

    it('answer 503 when they never settle, and count it', async () => {
      const { url, engine } = await start([
        makePlugin('hung', { onRequest: () => new Promise(() => undefined) }, { timeoutMs: 50 }),
      ]);

      const response = await fetch(url);

      assert.equal(response.status, 503);
      assert.match(await response.text(), /PLUGIN_TIMEOUT/);
      assert.equal(engine.stats()[0]?.timeouts, 1);
    });

    it('harm nothing when they throw while logging', async () => {
      const { url, log } = await start([
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
      const { url } = await start([
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
      const running = await start([makePlugin('picky', plugin)]);
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

  describe('by consumer', () => {
    const identify = (consumer: Consumer): LoadedPlugin =>
      makePlugin(
        'auth',
        {
          onRequest: (exchange) => {
            if (exchange.request.headers.get('x-who') !== consumer.username)
              throw new GatewayError('UNAUTHENTICATED', 'who are you?');
            const credential = {
              id: 'c-1',
              consumerId: consumer.id,
              type: 'test',
              lookup: '',
              data: {},
              tags: [],
              createdAt: '',
              updatedAt: '',
            };
            exchange.identify({ consumer, credential });
          },
        },
        { stage: 'authenticate' },
      );
    const stamp = makePlugin('stamp', {
      onRequest: (exchange, config) =>
        exchange.request.headers.set('x-stamp', String((config as { readonly mark: string }).mark)),
    });

    it('take the most specific binding once the consumer is known, and tell the upstream who it is', async () => {
      const consumer = makeConsumer({ username: 'ann', customId: 'ä', groups: ['gold'] });
      const running = await start(
        [identify(consumer), stamp],
        [
          makeBinding({ plugin: 'auth' }),
          makeBinding({ plugin: 'stamp', config: { mark: 'all' } }),
          makeBinding({ plugin: 'stamp', config: { mark: 'gold' }, scope: { group: 'gold' } }),
          makeBinding({ plugin: 'stamp', config: { mark: 'other' }, scope: { consumer: 'nobody' } }),
        ],
      );

      const response = await fetch(running.url, { headers: { 'x-who': 'ann' } });
      const refused = await fetch(running.url);

      assert.equal(response.status, 200);
      assert.equal(refused.status, 401);
      assert.deepEqual(headerOf(origin.seen[0], 'x-stamp'), ['gold']);
      assert.deepEqual(headerOf(origin.seen[0], 'x-consumer-username'), ['ann']);
      assert.deepEqual(headerOf(origin.seen[0], 'x-consumer-custom-id'), ['%C3%A4']);
      assert.deepEqual(headerOf(origin.seen[0], 'x-consumer-groups'), ['gold']);
      assert.deepEqual(headerOf(origin.seen[0], 'x-credential-id'), ['c-1']);
      assert.equal(origin.seen.length, 1);
    });
  });

  it('runs a conditional binding only on requests that match', async () => {
    const mark: Hooks = { onResponse: (exchange) => exchange.response?.headers.set('x-marked', '1') };
    const { url } = await start(
      [makePlugin('mark', mark)],
      [makeBinding({ plugin: 'mark', when: { paths: ['/a'], methods: ['GET'] } })],
    );

    const marks: (string | null)[] = [];
    for (const path of ['/a', '/a/b', '/ab', '/']) marks.push((await fetch(`${url}${path}`)).headers.get('x-marked'));

    assert.deepEqual(marks, ['1', '1', null, null]);
  });

  it('shows requests without a route to observing plugins only', async () => {
    const seen: string[] = [];
    const observe = (name: string): Hooks => ({
      onLog: (exchange: Exchange) => void seen.push(`${name} ${exchange.outcome.errorCode}`),
    });
    const { url } = await start([
      makePlugin('watch', observe('watch'), { stage: 'observe' }),
      makePlugin('limit', observe('limit'), { stage: 'limit' }),
    ]);

    const notAllowed = await fetch(url, { method: 'DELETE' });
    const malformed = await fetch(`${url}/a;b`);
    await until(() => seen.length === 2);

    assert.deepEqual([notAllowed.status, notAllowed.headers.get('allow'), malformed.status], [405, 'GET, POST', 400]);
    assert.deepEqual(seen, ['watch METHOD_NOT_ALLOWED', 'watch PATH_AMBIGUOUS']);
  });

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
    const running = await start([makePlugin('held', plugin, { timeoutMs: 10_000 })], [before]);

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
    const running = await start([makePlugin('held', plugin, { timeoutMs: 10_000 })], [binding]);
    const pending = fetch(running.url);
    await until(() => release !== undefined);

    await running.apply(putAll({ apis: [makeApi({ id: 'a-2', name: 'other', upstream: origin.url, routes: [] })] }));
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
    const running = await start(
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
    const running = await start([makePlugin('files', plugin)], [binding]);

    await running.apply(putAll({ bindings: [{ ...binding, config: { mark: 'better' } }] }));
    const broken = { ...binding, config: { mark: 'broken' } };
    await assert.rejects(running.apply(putAll({ bindings: [broken] })));
    const whileServing = running.reopeners.size;
    await running.close();
    gateway = undefined;

    assert.deepEqual([whileServing, running.reopeners.size], [1, 0]);
  });

  it('runs the bindings of the api that a route now belongs to', async () => {
    const plugin: Hooks = { onResponse: (exchange) => exchange.response?.headers.set('x-guarded', '1') };
    const running = await start([makePlugin('guard', plugin)], []);
    const route = makeRoute({ id: 'r-moves', paths: ['/moves'] });
    const first = makeApi({ id: 'a-1', name: 'first', upstream: origin.url, routes: [route] });
    const second = makeApi({ id: 'a-2', name: 'second', upstream: origin.url, routes: [] });
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
