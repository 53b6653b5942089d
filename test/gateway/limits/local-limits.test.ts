// Tests of the limits of one process, and of the bound on keys.
import assert from 'node:assert/strict';
import type { Limiter, LimitVerdict } from '../../../gateway/core/plugin.ts';
import { createLocalLimits } from '../../../gateway/limits/local-limits.ts';
import { SimulatedTime } from './simulation.ts';

function take(limiter: Limiter, key: string): LimitVerdict {
  const verdict = limiter.take(key);
  assert.ok(!(verdict instanceof Promise), 'a local take must not need a promise');
  return verdict;
}

describe('createLocalLimits', () => {
  it('answers at once with what is left, and with the time to wait when nothing is', () => {
    const clock = new SimulatedTime();
    const limiter = createLocalLimits({ clock }).limiter({
      name: 'b',
      windows: [{ requests: 2, windowMs: 1_000 }],
      store: 'local',
    });

    const verdicts = [take(limiter, 'k'), take(limiter, 'k'), take(limiter, 'k')];

    assert.deepEqual(verdicts, [
      { isAllowed: true, window: 0, remaining: 1, resetMs: 1_000 },
      { isAllowed: true, window: 0, remaining: 0, resetMs: 1_000 },
      { isAllowed: false, window: 0, remaining: 0, resetMs: 1_001 },
    ]);
  });

  it('keeps keys and limiters apart, and counts on when a limiter of the same name is made again', () => {
    const clock = new SimulatedTime();
    const limits = createLocalLimits({ clock });
    const windows = [{ requests: 1, windowMs: 1_000 }];
    const first = limits.limiter({ name: 'a', windows, store: 'local' });
    const other = limits.limiter({ name: 'b', windows, store: 'local' });
    take(first, 'k');

    const again = limits.limiter({ name: 'a', windows: [{ requests: 2, windowMs: 1_000 }], store: 'local' });

    assert.equal(take(first, 'k2').isAllowed, true);
    assert.equal(take(other, 'k').isAllowed, true);
    assert.equal(take(again, 'k').isAllowed, true);
    assert.equal(take(again, 'k').isAllowed, false);
  });

  it('refuses a store that it does not have', () => {
    const limits = createLocalLimits({ clock: new SimulatedTime() });

    assert.throws(() => limits.limiter({ name: 'a', windows: [], store: 'redis' }), /store "redis" is not available/);
  });

  it('never forgets a key that still counts: with the table full, further keys share one budget', () => {
    const clock = new SimulatedTime();
    const limits = createLocalLimits({ clock, maxKeys: 100 });
    const limiter = limits.limiter({ name: 'a', windows: [{ requests: 1, windowMs: 1_000 }], store: 'local' });
    let passes = 0;
    for (let round = 0; round < 3; round++) {
      for (let key = 0; key < 1_000; key++) if (take(limiter, `k${key}`).isAllowed) passes += 1;
    }

    assert.equal(passes, 101);
  });

  it('makes room again once keys are idle', () => {
    const clock = new SimulatedTime();
    const limits = createLocalLimits({ clock, maxKeys: 100 });
    const limiter = limits.limiter({ name: 'a', windows: [{ requests: 1, windowMs: 1_000 }], store: 'local' });
    for (let key = 0; key < 100; key++) take(limiter, `old${key}`);
    clock.nowMs += 2_000;
    let passes = 0;
    for (let key = 0; key < 100; key++) if (take(limiter, `new${key}`).isAllowed) passes += 1;

    assert.equal(passes, 100);
  });
});
