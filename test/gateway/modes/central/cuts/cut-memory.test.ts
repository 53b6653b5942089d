// How long the keeper has workers set a binding aside whose hook was cut, and when it forgets; how long a thread has worked.
// Must not wait: times are given.
import assert from 'node:assert/strict';
import { EMPTY_DOCUMENT } from '../../../../../gateway/core/config.ts';
import type { CutReport } from '../../../../../gateway/core/hooks/cut.ts';
import { CutMemory } from '../../../../../gateway/modes/central/keeper/cuts/cut-memory.ts';
import { readWorkedMs } from '../../../../../gateway/modes/central/worker/cutter/held-clock.ts';
import { makeBinding } from '../../../../support/product/publish.ts';

const binding = makeBinding('held');
const sample = {
  exchange: '1',
  method: 'GET',
  host: '',
  path: '/',
  api: '',
  route: '',
  consumer: undefined,
  headers: [],
};
const incident = { atMs: 0, hook: 'onRequest', reason: 'it was cut', failures: 1, calls: 1, sample } as const;
const report: CutReport = { binding: binding.id, plugin: 'held', version: '1.0.0', incident };

function openMemory(): CutMemory {
  const memory = new CutMemory();
  memory.keep({ ...EMPTY_DOCUMENT, bindings: new Map([[binding.id, binding]]) });
  return memory;
}

/** Cuts at the end of each rest; gives the rests in seconds. */
function cutAgainAndAgain(memory: CutMemory, times: number): readonly number[] {
  const rests: number[] = [];
  let nowMs = 0;
  for (let time = 0; time < times; time++) {
    const { restMs } = memory.note(report, nowMs);
    rests.push(restMs / 1_000);
    nowMs += restMs;
  }
  return rests;
}

describe('what a keeper remembers of hooks that were cut', () => {
  it('doubles the rest with each try that is cut, up to half an hour', () => {
    assert.deepEqual(cutAgainAndAgain(openMemory(), 10), [10, 20, 40, 80, 160, 320, 640, 1_280, 1_800, 1_800]);
  });

  it('takes what began before the binding was aside everywhere for no try', () => {
    const memory = openMemory();

    const rests = [0, 10, 3_000, 10_000].map((nowMs) => memory.note(report, nowMs).restMs);

    assert.deepEqual(rests, [10_000, 9_990, 7_000, 20_000]);
    assert.deepEqual([...memory.counts], [['held', 4]]);
  });

  it('tells a worker that begins what is left of the rest, and to try with care when it is over', () => {
    const memory = openMemory();
    memory.note(report, 0);

    const left = [4_000, 12_000].map((nowMs) => memory.list(nowMs).map(({ restMs }) => restMs));

    assert.deepEqual(left, [[6_000], [0]]);
  });

  it('forgets a binding that has behaved for an hour', () => {
    const memory = openMemory();
    memory.note(report, 0);

    assert.deepEqual(memory.list(3_700_000), []);
    assert.equal(memory.note(report, 3_700_000).restMs, 10_000);
  });

  for (const [what, bindings, isKept] of [
    ['keeps a binding that a change did not touch', new Map([[binding.id, { ...binding }]]), true],
    ['forgets a binding that was changed', new Map([[binding.id, { ...binding, order: 5 }]]), false],
    ['forgets a binding that is gone', new Map(), false],
  ] as const) {
    it(what, () => {
      const memory = openMemory();
      memory.note(report, 0);

      memory.keep({ ...EMPTY_DOCUMENT, bindings });

      assert.equal(memory.list(1).length === 1, isKept);
    });
  }
});

describe('the clock of what a thread has worked', () => {
  it('reads user and system time, whatever the thread calls itself', () => {
    const stat = '42 (a ) b) R 1 42 42 0 -1 4194560 100 0 0 0 123 7 0 0 20 0 11 0 500 1000 200';

    assert.equal(readWorkedMs(stat), 1_300);
  });
});
