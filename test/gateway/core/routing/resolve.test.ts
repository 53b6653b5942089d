// Which binding holds: every step of the order of precedence, exclusion, mandatory ones, and the order of running.
import assert from 'node:assert/strict';
import type { InstalledPlugin } from '../../../../gateway/core/manifest.ts';
import type { Binding, Scope } from '../../../../gateway/core/model.ts';
import {
  buildBindingIndex,
  orderBindings,
  resolveBindings,
  type Subject,
} from '../../../../gateway/core/routing/resolve.ts';
import { makeBinding } from '../../../support/entities.ts';

const SUBJECT: Subject = { apiId: 'a', routeId: 'r', consumerId: 'c', groups: ['g1', 'g2'] };
// Most specific first: DESIGN section 3.
const SCOPES: readonly Scope[] = [
  { route: 'r', consumer: 'c' },
  { api: 'a', consumer: 'c' },
  { route: 'r', group: 'g1' },
  { api: 'a', group: 'g1' },
  { consumer: 'c' },
  { group: 'g1' },
  { route: 'r' },
  { api: 'a' },
  {},
];

function winnerOf(bindings: readonly Binding[], subject: Subject = SUBJECT): Binding | undefined {
  return resolveBindings(buildBindingIndex(bindings), subject)[0]?.binding;
}

describe('binding resolution', () => {
  for (const [index, scope] of SCOPES.entries()) {
    it(`prefers ${JSON.stringify(scope)} to every wider scope`, () => {
      const bindings = SCOPES.slice(index).map((one) => makeBinding({ plugin: 'p', scope: one }));

      assert.deepEqual(winnerOf([...bindings].reverse())?.scope, scope);
    });
  }

  it('ignores scopes of other apis, routes, consumers and groups', () => {
    const others: readonly Scope[] = [
      { api: 'x' },
      { route: 'x' },
      { consumer: 'x' },
      { group: 'x' },
      { api: 'x', consumer: 'c' },
    ];

    assert.equal(winnerOf(others.map((scope) => makeBinding({ plugin: 'p', scope }))), undefined);
  });

  it('takes the group whose name comes first', () => {
    const bindings = [
      makeBinding({ plugin: 'p', scope: { group: 'g2' } }),
      makeBinding({ plugin: 'p', scope: { group: 'g1' } }),
    ];

    assert.equal(winnerOf(bindings)?.scope.group, 'g1');
  });

  it('does not depend on which of two equally narrow bindings came first', () => {
    const bindings = [
      makeBinding({ id: 'b2', plugin: 'p', scope: { route: 'r' } }),
      makeBinding({ id: 'b1', plugin: 'p', scope: { api: 'a', route: 'r' } }),
    ];

    assert.equal(winnerOf(bindings)?.id, 'b1');
    assert.equal(winnerOf([...bindings].reverse())?.id, 'b1');
  });

  it('treats a disabled binding as absent', () => {
    const wide = makeBinding({ plugin: 'p' });
    const narrow = makeBinding({ plugin: 'p', scope: { route: 'r' }, enabled: false });

    assert.equal(winnerOf([wide, narrow]), wide);
  });

  it('lets an exclude take away what a wider scope gave', () => {
    const wide = makeBinding({ plugin: 'p' });
    const exclude = makeBinding({ plugin: 'p', scope: { api: 'a' }, effect: 'exclude' });

    const [resolution] = resolveBindings(buildBindingIndex([wide, exclude]), SUBJECT);

    assert.equal(resolution?.binding, undefined);
    assert.equal(resolution?.excludedBy, exclude);
    assert.deepEqual(resolution?.beaten, [wide]);
  });

  it('gives back with a narrower binding what an exclude took away', () => {
    const exclude = makeBinding({ plugin: 'p', scope: { api: 'a' }, effect: 'exclude' });
    const narrow = makeBinding({ plugin: 'p', scope: { route: 'r' } });

    assert.equal(winnerOf([makeBinding({ plugin: 'p' }), exclude, narrow]), narrow);
  });

  it('never excludes a mandatory binding', () => {
    const mandatory = makeBinding({ plugin: 'p', mandatory: true });
    const exclude = makeBinding({ plugin: 'p', scope: { api: 'a' }, effect: 'exclude' });

    assert.equal(winnerOf([mandatory, exclude]), mandatory);
  });

  it('runs a named binding beside the unnamed one', () => {
    const bindings = [makeBinding({ plugin: 'p' }), makeBinding({ plugin: 'p', name: 'second', scope: { api: 'a' } })];

    assert.equal(resolveBindings(buildBindingIndex(bindings), SUBJECT).length, 2);
  });

  it('orders by stage, then order, then plugin name, then instance name', () => {
    const stages = { late: 'transform', early: 'protect', beta: 'limit', alpha: 'limit' } as const;
    const plugins = new Map(
      Object.entries(stages).map(([name, stage]) => [
        name,
        { manifest: { name, stage }, configSchema: {} } as unknown as InstalledPlugin,
      ]),
    );
    const bindings = [
      makeBinding({ plugin: 'late' }),
      makeBinding({ plugin: 'beta' }),
      makeBinding({ plugin: 'alpha', name: 'b' }),
      makeBinding({ plugin: 'alpha', name: 'a' }),
      makeBinding({ plugin: 'beta', name: 'first', order: -1 }),
      makeBinding({ plugin: 'early', order: 5 }),
    ];

    const order = orderBindings(bindings, plugins).map(({ plugin, name }) => `${plugin}${name ? `#${name}` : ''}`);

    assert.deepEqual(order, ['early', 'beta#first', 'alpha#a', 'alpha#b', 'beta', 'late']);
  });
});
