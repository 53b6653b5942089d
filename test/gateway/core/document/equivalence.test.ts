// Random sequences of updates: each ends where a fresh compile of the whole document would, refused ones included.
// Must compare what traffic sees, not how it is stored.
import assert from 'node:assert/strict';
import {
  checkChange,
  checkDocument,
  EMPTY_GOOD,
  type EntityProblem,
  type GoodDocument,
} from '../../../../gateway/core/check.ts';
import { applyUpdate, type DocumentState, gatherIds, listChanges, mapOf } from '../../../../gateway/core/config.ts';
import { createEngine } from '../../../../gateway/core/engine.ts';
import type { Consumer, Update } from '../../../../gateway/core/model.ts';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import type { MatchRequest } from '../../../../gateway/core/routing/match.ts';
import { findRoute } from '../../../../gateway/core/routing/router.ts';
import { atOnce } from '../../../../gateway/core/slicer.ts';
import {
  buildSnapshot,
  type Compiled,
  EMPTY_SNAPSHOT,
  findConsumerChain,
  findRouteChain,
  newChainCache,
  type Snapshot,
} from '../../../../gateway/core/snapshot.ts';
import { createUpstreams, type Upstreams } from '../../../../gateway/core/upstream/upstreams.ts';
import { buildPorts, makePlugin } from '../../../support/engine.ts';
import { makeConsumer } from '../../../support/entities.ts';
import { createChanges, createRandom } from '../../../support/random-changes.ts';

const SCHEMA = { type: 'object', additionalProperties: false, properties: { limit: { type: 'integer' } } };
const QUIET: LoadedPlugin['plugin'] = { onRequest: () => undefined, onLog: () => undefined };
const PLUGINS = new Map<string, LoadedPlugin>(
  ['one', 'two'].map((name) => [name, { ...makePlugin(name, QUIET), configSchema: SCHEMA }]),
);
const CALLERS: readonly Consumer[] = [
  makeConsumer({ id: 'c0', username: 'c0', groups: ['gold'] }),
  makeConsumer({ id: 'c9', username: 'c9', groups: ['gold', 'silver'] }),
];
const UNIQUE_REFERENCES = /^\/(routes\/\d+\/id|scope)$/;

function updateOf(state: DocumentState, next: () => Update['changes']): Update {
  return { revision: state.revision + 1, isReset: false, changes: next() };
}

/** Names each problem, but of several that hold one value only the value: which of them is blamed depends on who came first. */
function nameProblems(problems: readonly EntityProblem[], state: DocumentState): readonly string[] {
  // Which of two routes of one id is meant, and which of two bindings, is then open: so is what refers to them.
  const isOpen = problems.some(({ code, pointer }) => code === 'NOT_UNIQUE' && UNIQUE_REFERENCES.test(pointer));
  const names = problems.flatMap(({ kind, id, pointer, code, message }) => {
    const entity = mapOf(state, kind).get(id);
    if (code !== 'NOT_UNIQUE')
      return isOpen && /scope|effect|when/.test(pointer) ? [] : `${kind} ${id} ${pointer} ${message}`;
    if (kind === 'certificate' && entity !== undefined && 'hosts' in entity && pointer !== '/name')
      return `twice host ${entity.hosts[Number(pointer.split('/').at(-1))]}`;
    const route = /^\/routes\/(\d+)\/id$/.exec(pointer)?.[1];
    if (entity !== undefined && 'routes' in entity && route !== undefined)
      return `twice route ${entity.routes[Number(route)]?.id}`;
    const { name, username, lookup, plugin } = (entity ?? {}) as Record<string, unknown>;
    return `twice ${kind} ${pointer} ${name} ${username} ${lookup} ${plugin}`;
  });
  return names.sort();
}

function* listRequests(): Generator<MatchRequest> {
  const paths = ['/', '/a', '/a/', '/a/b', '/a/b/c', '/a/7', '/b', '/bb', '/api-1', '/api-2/x', '/none'];
  for (const host of ['h.example', 'x.example', 'other.example', 'elsewhere'])
    for (const path of paths)
      for (const method of ['GET', 'PUT', 'POST'])
        for (const value of ['1', '2']) yield { host, path, method, query: '', headers: { getAll: () => [value] } };
}

/** Gives what every request of the list would meet: route, chains by caller, targets; or the methods that were allowed. */
function observe(snapshot: Snapshot, upstreams: Upstreams): readonly unknown[] {
  const targets = upstreams.listTargets().map(({ upstream, target }) => `${upstream} ${target.key}`);
  const checked = upstreams.listChecked().map(({ upstream }) => upstream.name);
  const answers = [...listRequests()].map((request) => {
    const match = findRoute(snapshot.router, request);
    if (match.entry === undefined) return [...match.allowedMethods].sort();
    const { entry } = match;
    const chains = [
      findRouteChain(snapshot, entry),
      ...CALLERS.map((caller) => findConsumerChain(snapshot, entry, caller)),
    ];
    return [
      entry.api,
      entry.route,
      entry.pattern.key,
      chains.map(({ request: steps }) => steps.map(({ instance }) => instance.binding)),
      upstreams.find(entry)?.balancer.targets.map(({ key }) => key),
    ];
  });
  return [answers, targets.sort(), checked.sort()];
}

async function compile(update: Update, previous: Snapshot): Promise<Compiled> {
  const host = { binding: {} } as never;
  return buildSnapshot(update, previous, { plugins: PLUGINS, lend: () => ({ host, end: () => undefined }) });
}

describe('a sequence of updates', () => {
  it('is checked like the documents that it makes', () => {
    const options = { plugins: PLUGINS, consumers: 'here' } as const;
    const seen = { good: 0, refused: 0 };
    for (let seed = 1; seed <= 40; seed++) {
      const draw = createChanges({ random: createRandom(seed), apis: 5, hasAllKinds: true });
      let good: GoodDocument = EMPTY_GOOD;
      for (let step = 0; step < 60; step++) {
        const update = updateOf(good.state, () => draw(good.state));
        const state = atOnce(applyUpdate(good.state, update));

        const touched = atOnce(gatherIds(update.changes));
        const verdict = atOnce(checkChange(good, state, { ...options, touched }));
        const whole = atOnce(checkDocument(state, options));

        const where = `seed ${seed}, step ${step}`;
        assert.equal(verdict.ok, whole.ok, where);
        if (verdict.ok && whole.ok) {
          assert.deepEqual([...verdict.good.holders].sort(), [...whole.good.holders].sort(), where);
          good = verdict.good;
          seen.good++;
        } else if (!verdict.ok && !whole.ok) {
          assert.deepEqual(nameProblems(verdict.problems, state), nameProblems(whole.problems, state), where);
          seen.refused++;
        }
      }
    }

    assert.ok(seen.good > 500 && seen.refused > 500, JSON.stringify(seen));
  });

  for (const { apis, seeds, steps } of [
    { apis: 5, seeds: 25, steps: 50 },
    { apis: 120, seeds: 2, steps: 250 },
  ]) {
    it(`serves like the document that it makes, of up to ${apis} apis`, async () => {
      for (let seed = 1; seed <= seeds; seed++) {
        const draw = createChanges({ random: createRandom(seed), apis, hasAllKinds: false });
        const upstreams = createUpstreams(() => 0);
        let snapshot = EMPTY_SNAPSHOT;
        for (let step = 0; step < steps; step++) {
          const update = updateOf(snapshot.good.state, () => draw(snapshot.good.state));
          const compiled = await compile(update, snapshot);
          if (!compiled.ok) continue;
          const { state } = compiled.snapshot.good;
          atOnce(upstreams.prepare(state, compiled.touched.get('upstream') ?? new Set())).commit();
          snapshot = compiled.snapshot;
          if (apis > 10 && step % 10 !== 0) continue;

          const nothing = { ...EMPTY_SNAPSHOT, chains: newChainCache() };
          const whole = await compile({ revision: 1, isReset: true, changes: listChanges(state) }, nothing);
          const fresh = createUpstreams(() => 0);
          atOnce(fresh.prepare(state)).commit();

          assert.ok(whole.ok, `seed ${seed}, step ${step}`);
          assert.deepEqual(observe(snapshot, upstreams), observe(whole.snapshot, fresh), `seed ${seed}, step ${step}`);
        }
      }
    });
  }

  it('closes every set-up once, and none that is in force', async () => {
    const open = new Set<object>();
    const closed = new Set<object>();
    const plugin: LoadedPlugin['plugin'] = {
      setup() {
        const state = {};
        open.add(state);
        return state;
      },
      close(state) {
        assert.ok(open.delete(state as object), 'closed once');
        closed.add(state as object);
      },
    };
    const plugins = new Map([...PLUGINS].map(([name, one]) => [name, { ...one, plugin }]));
    const random = createRandom(7);
    const draw = createChanges({ random, apis: 5, hasAllKinds: false });
    const engine = createEngine({ ports: buildPorts([], new Set(), {}), plugins, trustedProxies: [] });
    let state = EMPTY_GOOD.state;
    for (let step = 0; step < 400; step++) {
      const update = updateOf(state, () => draw(state));
      const prepared = await engine.prepare(update);
      if (prepared.ok && random() < 0.2) prepared.discard();
      else if (prepared.ok) {
        prepared.commit();
        state = atOnce(applyUpdate(state, update));
      }
      // On a busy machine what is closed is closed over several slices.
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
      const running = [...state.bindings.values()].filter(({ enabled, effect }) => enabled && effect === 'apply');
      assert.equal(open.size, running.length, `step ${step}`);
    }

    await engine.close();

    assert.equal(open.size, 0);
    assert.ok(closed.size > 50, `${closed.size} were closed`);
  });
});
