// Which hooks of which plugins run on a request in a real gateway, in which order, and what they may do to it.
// Must not let a plugin fail: failures.test.ts does.
import assert from 'node:assert/strict';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import { type Consumer, type Exchange, GatewayError } from '../../../../gateway/core/plugin.ts';
import { makePlugin } from '../../../support/engine.ts';
import { makeBinding, makeConsumer } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { headerOf } from '../../../support/wire/origin.ts';
import { type Hooks, openPluggedStage, type PluggedStage } from './plugged-stage.ts';

describe('plugins in a gateway', () => {
  let stage: PluggedStage;

  beforeEach(async () => {
    stage = await openPluggedStage();
  });

  afterEach(() => stage.close());

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
    const { url } = await stage.start([tracer('outer', trace, 'protect'), tracer('inner', trace, 'transform')]);

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
    const { url } = await stage.start([
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
    assert.equal(stage.origin.seen.length, 0);
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
    const { url } = await stage.start([makePlugin('slow', slow)]);

    const response = await fetch(url);

    assert.deepEqual(
      [response.status, response.headers.get('x-added'), await response.text()],
      [203, 'upstream', 'ok'],
    );
    assert.deepEqual(headerOf(stage.origin.seen[0], 'x-slow'), ['1']);
  });

  it('passes bodies through chunk hooks both ways', async () => {
    const upper = (chunk: Uint8Array): Uint8Array => Buffer.from(Buffer.from(chunk).toString().toUpperCase());
    const plugin: Hooks = {
      onRequestChunk: upper,
      onResponseChunk: (chunk, last) => (last ? Buffer.from('!') : upper(chunk)),
    };
    const { url } = await stage.start([makePlugin('shout', plugin)]);

    const response = await fetch(url, { method: 'POST', body: 'abc' });

    assert.equal(await response.text(), 'OK!');
    assert.equal(stage.origin.seen[0]?.body.toString(), 'ABC');
  });

  it('lets a plugin read, replace and bound the body', async () => {
    const plugin: Hooks = {
      onRequest: async (exchange) => {
        const body = await exchange.request.readBody(5);
        exchange.request.setBody(Buffer.concat([body, body]));
      },
    };
    const { url } = await stage.start([makePlugin('double', plugin)]);

    await (await fetch(url, { method: 'POST', body: 'ab' })).text();
    const tooLarge = await fetch(url, { method: 'POST', body: 'abcdef' });

    assert.equal(stage.origin.seen[0]?.body.toString(), 'abab');
    assert.deepEqual(headerOf(stage.origin.seen[0], 'content-length'), ['4']);
    assert.equal(tooLarge.status, 413);
    assert.equal(stage.origin.seen.length, 1);
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
      const running = await stage.start(
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
      assert.deepEqual(headerOf(stage.origin.seen[0], 'x-stamp'), ['gold']);
      assert.deepEqual(headerOf(stage.origin.seen[0], 'x-consumer-username'), ['ann']);
      assert.deepEqual(headerOf(stage.origin.seen[0], 'x-consumer-custom-id'), ['%C3%A4']);
      assert.deepEqual(headerOf(stage.origin.seen[0], 'x-consumer-groups'), ['gold']);
      assert.deepEqual(headerOf(stage.origin.seen[0], 'x-credential-id'), ['c-1']);
      assert.equal(stage.origin.seen.length, 1);
    });
  });

  it('runs a conditional binding only on requests that match', async () => {
    const mark: Hooks = { onResponse: (exchange) => exchange.response?.headers.set('x-marked', '1') };
    const { url } = await stage.start(
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
    const { url } = await stage.start([
      makePlugin('watch', observe('watch'), { stage: 'observe' }),
      makePlugin('limit', observe('limit'), { stage: 'limit' }),
    ]);

    const notAllowed = await fetch(url, { method: 'DELETE' });
    const malformed = await fetch(`${url}/a;b`);
    await until(() => seen.length === 2);

    assert.deepEqual([notAllowed.status, notAllowed.headers.get('allow'), malformed.status], [405, 'GET, POST', 400]);
    assert.deepEqual(seen, ['watch METHOD_NOT_ALLOWED', 'watch PATH_AMBIGUOUS']);
  });
});
