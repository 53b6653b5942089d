// Explain says what the gateway would do, by the gateway's own code.
import assert from 'node:assert/strict';
import { applyUpdate, type DocumentState, EMPTY_DOCUMENT } from '../../../gateway/core/config.ts';
import { explainRequest } from '../../../gateway/core/explain.ts';
import type { Change, Update } from '../../../gateway/core/model.ts';
import { atOnce } from '../../../gateway/core/slicer.ts';
import { makePlugin } from '../../support/engine.ts';
import { makeApi, makeBinding, makeConsumer, makeRoute, putAll } from '../../support/entities.ts';

const plugins = new Map(
  (['cors', 'limit', 'shape'] as const).map((name, index) => [
    name,
    makePlugin(name, {}, { stage: (['protect', 'limit', 'transform'] as const)[index] ?? 'route' }),
  ]),
);
const ann = makeConsumer({ id: 'ann-id', username: 'ann', groups: ['gold'] });
const bindings = {
  cors: makeBinding({ id: 'b-cors', plugin: 'cors' }),
  limit: makeBinding({ id: 'b-limit', plugin: 'limit' }),
  gold: makeBinding({ id: 'b-gold', plugin: 'limit', scope: { group: 'gold' } }),
  shape: makeBinding({ id: 'b-shape', plugin: 'shape' }),
  none: makeBinding({ id: 'b-none', plugin: 'shape', scope: { api: 'a' }, effect: 'exclude' }),
};
const update: Update = {
  revision: 1,
  isReset: true,
  changes: [
    ...putAll({
      apis: [
        makeApi({
          id: 'a',
          name: 'orders',
          upstream: 'http://up:81/base',
          routes: [makeRoute({ name: 'list', paths: ['/orders'], methods: ['GET'] })],
        }),
        makeApi({
          id: 'b',
          name: 'other',
          routes: [makeRoute({ name: 'host', hosts: ['h.example'], paths: ['/orders'] })],
        }),
        makeApi({ id: 'c', name: 'root', routes: [makeRoute({ name: 'all', paths: ['/'] })] }),
      ],
      bindings: Object.values(bindings),
    }),
    { kind: 'consumer', id: ann.id, after: ann } satisfies Change,
  ],
};
const document: DocumentState = atOnce(applyUpdate(EMPTY_DOCUMENT, update));

describe('explain', () => {
  it('names the route, why the others lost, the plugins in order and the target', () => {
    const explained = explainRequest(document, plugins, { method: 'GET', host: 'x', path: '/orders/7?a=b' });

    assert.equal(explained.route?.route, 'list');
    assert.deepEqual(
      explained.plugins.map(({ binding }) => binding),
      ['b-cors', 'b-limit'],
    );
    assert.deepEqual(explained.excluded, [{ plugin: 'shape', binding: 'b-none' }]);
    assert.deepEqual(explained.target, { upstream: 'http://up:81', path: '/base/7?a=b' });
    const verdicts = new Map(explained.considered.map(({ route, verdict }) => [route, verdict]));
    assert.equal(verdicts.get('list'), 'matched');
    assert.match(verdicts.get('host') ?? '', /^host: expected h\.example/);
    assert.match(verdicts.get('all') ?? '', /more specific/);
  });

  it('says so when nothing but names decides between two routes', () => {
    const apis = ['beta', 'alpha'].map((name) =>
      makeApi({ id: name, name, routes: [makeRoute({ id: `r-${name}`, name, paths: ['/same'] })] }),
    );
    const two = atOnce(applyUpdate(EMPTY_DOCUMENT, { revision: 1, isReset: true, changes: putAll({ apis }) }));

    const explained = explainRequest(two, plugins, { method: 'GET', host: 'x', path: '/same' });

    assert.equal(explained.route?.api, 'alpha');
    const beaten = explained.considered.find(({ api }) => api === 'beta');
    assert.equal(beaten?.verdict, 'matches just as well, but alpha comes first by name: let one of them ask for more');
  });

  it('takes a consumer into account and says what its binding beat', () => {
    const explained = explainRequest(document, plugins, { method: 'GET', host: 'x', path: '/orders', consumer: 'ann' });

    const limit = explained.plugins.find(({ plugin }) => plugin === 'limit');
    assert.equal(limit?.binding, 'b-gold');
    assert.deepEqual(
      limit?.beats.map(({ binding }) => binding),
      ['b-limit'],
    );
  });

  it('explains an answer of the gateway itself', () => {
    const wrong = explainRequest(document, plugins, { method: 'POST', host: 'h.example:1', path: '/a;b' });
    const nobody = explainRequest(document, plugins, { method: 'GET', host: 'x', path: '/', consumer: 'bob' });

    assert.equal(wrong.error?.code, 'PATH_AMBIGUOUS');
    assert.equal(nobody.error?.code, 'CONSUMER_NOT_FOUND');
  });

  it('leaves out a plugin whose condition does not match the request, and says which', () => {
    const when = { methods: ['PUT'], query: { v: ['2'] } };
    const conditional = makeBinding({ id: 'b-when', plugin: 'limit', name: 'puts', when });
    const more = { revision: 2, isReset: false, changes: putAll({ bindings: [conditional] }) };
    const next = atOnce(applyUpdate(document, more));
    const explain = (method: string): { readonly runs: boolean; readonly skipped: readonly string[] } => {
      const explained = explainRequest(next, plugins, { method, host: 'x', path: '/?v=2' });
      return {
        runs: explained.plugins.some(({ binding }) => binding === 'b-when'),
        skipped: explained.skipped.map(({ binding }) => binding),
      };
    };

    assert.deepEqual(explain('PUT'), { runs: true, skipped: [] });
    assert.deepEqual(explain('GET'), { runs: false, skipped: ['b-when'] });
  });
});
