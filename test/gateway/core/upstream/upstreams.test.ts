// What is known of targets over changes of configuration: kept while something sends there, forgotten after.
import assert from 'node:assert/strict';
import { applyUpdate, type DocumentState, EMPTY_DOCUMENT } from '../../../../gateway/core/config.ts';
import type { Change, Upstream, UpstreamRef } from '../../../../gateway/core/model.ts';
import { atOnce } from '../../../../gateway/core/slicer.ts';
import type { TargetState } from '../../../../gateway/core/upstream/balancer.ts';
import {
  createUpstreams,
  type NextUpstreams,
  type Sender,
  type Upstreams,
} from '../../../../gateway/core/upstream/upstreams.ts';
import { makeUpstream, putAll } from '../../../support/entities.ts';

interface Bench {
  readonly upstreams: Upstreams;
  prepare(changes: readonly Change[]): NextUpstreams;
  commit(changes: readonly Change[]): void;
  find(name: string): TargetState | undefined;
}

function openBench(): Bench {
  const upstreams = createUpstreams(() => 0);
  let document: DocumentState = EMPTY_DOCUMENT;
  const next = (changes: readonly Change[]): DocumentState =>
    atOnce(applyUpdate(document, { revision: 1, isReset: false, changes }));
  const prepare = (changes: readonly Change[]): NextUpstreams =>
    atOnce(upstreams.prepare(next(changes), new Set(changes.map(({ id }) => id))));
  return {
    upstreams,
    prepare,
    commit(changes) {
      prepare(changes).commit();
      document = next(changes);
    },
    find: (name) => upstreams.listTargets().find(({ upstream }) => upstream === name)?.target,
  };
}

function upstream(name: string, port: number, tags: readonly string[] = []): Upstream {
  return makeUpstream({ id: name, name, targets: [{ host: 'h', port, weight: 1 }], tags });
}

function newSender(upstream: UpstreamRef): Sender {
  return { upstream, destination: undefined };
}

function portOf(upstreams: Upstreams, sender: Sender): number | undefined {
  return upstreams.find(sender)?.balancer.targets[0]?.port;
}

function putUpstreams(...upstreams: readonly Upstream[]): Change[] {
  return putAll({ upstreams });
}

describe('upstreams', () => {
  it('keep what is known of a target when its upstream changes, and share it with others that send there', () => {
    const { commit, find } = openBench();
    commit(putUpstreams(upstream('a', 1)));
    const first = find('a');
    assert.ok(first);
    first.failures = 3;

    commit(putUpstreams(upstream('a', 1, ['new']), upstream('b', 1)));

    assert.equal(find('a'), first);
    assert.equal(find('b'), first);
  });

  it('forget a target when the last has left it, but not while a request is on it', () => {
    const { commit, find } = openBench();
    commit(putUpstreams(upstream('a', 1), upstream('b', 1)));
    const first = find('a');
    assert.ok(first);

    commit([{ kind: 'upstream', id: 'a' }]);
    first.inFlight = 1;
    commit([{ kind: 'upstream', id: 'b' }]);
    commit(putUpstreams(upstream('c', 1)));
    const whileBusy = find('c');
    commit([{ kind: 'upstream', id: 'c' }]);
    first.inFlight = 0;
    commit([]);
    commit(putUpstreams(upstream('d', 1)));

    assert.equal(whileBusy, first);
    assert.notEqual(find('d'), first);
  });

  it('stay as they were when what was prepared is thrown away', () => {
    const { commit, prepare, find, upstreams } = openBench();
    commit(putUpstreams(upstream('a', 1)));
    const first = find('a');

    prepare(putUpstreams(upstream('a', 2), upstream('b', 3))).discard();
    commit([]);

    assert.equal(find('a'), first);
    assert.deepEqual(
      upstreams.listTargets().map(({ target }) => target.port),
      [1],
    );
  });

  it('follow two that swap their names', () => {
    const { commit, find, upstreams } = openBench();
    commit(putUpstreams(upstream('a', 1), upstream('b', 2)));
    const sender = newSender({ name: 'a' });
    assert.equal(portOf(upstreams, sender), 1);

    commit(putUpstreams({ ...upstream('b', 1), id: 'a' }, { ...upstream('a', 2), id: 'b' }));

    assert.deepEqual([find('a')?.port, find('b')?.port], [2, 1]);
    assert.equal(portOf(upstreams, sender), 2);
  });

  it('are looked up once, and again after they have changed, gone or come back', () => {
    const { commit, prepare, upstreams } = openBench();
    const sender = newSender({ name: 'a' });
    const before = portOf(upstreams, sender);
    commit(putUpstreams(upstream('a', 1), upstream('b', 9)));
    const first = upstreams.find(sender);

    commit(putUpstreams(upstream('b', 8)));
    prepare(putUpstreams(upstream('a', 2))).discard();
    const untouched = upstreams.find(sender);
    commit(putUpstreams(upstream('a', 3)));
    const changed = portOf(upstreams, sender);
    commit([{ kind: 'upstream', id: 'a' }]);
    const gone = portOf(upstreams, sender);
    commit(putUpstreams(upstream('a', 4)));

    assert.equal(untouched, first);
    assert.deepEqual([before, changed, gone, portOf(upstreams, sender)], [undefined, 3, undefined, 4]);
  });

  it('sweep the targets of URLs that were long left', () => {
    const { commit, upstreams } = openBench();
    const find = (sender: Sender): TargetState | undefined => upstreams.find(sender)?.balancer.targets[0];
    const sender = newSender('http://h:1');
    const first = find(sender);
    assert.equal(find(newSender('http://h:1')), first);
    for (let port = 2; port <= 1_001; port++) find(newSender(`http://h:${port}`));

    commit([]);

    assert.notEqual(find(sender), first);
    assert.equal(find(newSender('http://h:1')), find(sender));
  });
});
