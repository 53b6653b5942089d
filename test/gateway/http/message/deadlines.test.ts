// Deadlines that pass together: none is lost, and nobody else waits for all of them.
import assert from 'node:assert/strict';
import { executionAsyncResource } from 'node:async_hooks';
import { Deadlines, type Timed } from '../../../../gateway/http/message/deadlines.ts';
import { takeUncaught } from '../../../support/uncaught.ts';

/** Longer than a slice. */
const LONG_MS = 2;

function due(expire: () => void): Timed {
  return { deadlineMs: 0, slot: -1, expire };
}

/** Holds the event loop, as much work would. */
function hold(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

describe('deadlines', () => {
  let deadlines: Deadlines;

  beforeEach(() => {
    deadlines = new Deadlines(1);
  });

  afterEach(() => deadlines.close());

  it('that pass together let others have their turn before all have expired', async () => {
    let expired = 0;
    let expiredBefore = 0;
    await new Promise<void>((resolve) => {
      for (let count = 0; count < 20; count++) {
        const one = due(() => {
          deadlines.forget(one);
          hold(LONG_MS / 2);
          expired++;
          if (expired === 1) {
            setImmediate(() => {
              expiredBefore = expired;
            });
          }
          if (expired === 20) resolve();
        });
        deadlines.watch(one);
      }
    });

    assert.ok(expiredBefore > 0 && expiredBefore < 10, `${expiredBefore} had expired`);
  });

  it('are looked at again when it is their turn: some have ended by then, and some were moved', async () => {
    const expired: string[] = [];
    await new Promise<void>((resolve) => {
      const note = (name: string): Timed => due(() => expired.push(name));
      const [ended, moved] = [note('ended'), note('moved')];
      const first = due(() => {
        deadlines.forget(first);
        expired.push('first');
        setImmediate(() => {
          deadlines.forget(ended);
          moved.deadlineMs = Number.POSITIVE_INFINITY;
        });
        hold(LONG_MS);
      });
      const last = due(() => {
        deadlines.forget(last);
        expired.push('last');
        resolve();
      });
      for (const one of [first, ended, moved, last]) deadlines.watch(one);
    });

    assert.deepEqual(expired, ['first', 'last']);
  });

  it('expire in timers, where Node outlives it when a hook is cut that one of them runs', async () => {
    const callers = new Set<string>();
    await new Promise<void>((resolve) => {
      let left = 4;
      for (let count = 0; count < 4; count++) {
        const one = due(() => {
          deadlines.forget(one);
          callers.add(executionAsyncResource().constructor.name);
          hold(LONG_MS);
          if (--left === 0) resolve();
        });
        deadlines.watch(one);
      }
    });

    assert.deepEqual([...callers], ['Timeout']);
  });

  it('go on when one of them throws', async () => {
    const thrown = takeUncaught();
    const hasExpired = new Promise<void>((resolve) => {
      const first = due(() => {
        deadlines.forget(first);
        throw new Error('thrown');
      });
      const second = due(() => {
        deadlines.forget(second);
        resolve();
      });
      deadlines.watch(first);
      deadlines.watch(second);
    });

    assert.equal((await thrown).message, 'thrown');
    await hasExpired;
  });

  it('do not expire any more once they are closed', async () => {
    const others = new Deadlines(1);
    let expired = 0;
    for (let count = 0; count < 3; count++) {
      deadlines.watch(
        due(() => {
          expired++;
          hold(LONG_MS);
          deadlines.close();
        }),
      );
    }
    // Looked at as often, and begun later.
    await new Promise<void>((resolve) => {
      let looks = 0;
      others.watch(
        due(() => {
          if (++looks === 3) resolve();
        }),
      );
    });
    others.close();

    assert.equal(expired, 1);
  });
});
