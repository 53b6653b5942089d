// Deadlines that pass together: none is lost, and nobody else waits for all of them.
import assert from 'node:assert/strict';
import { Deadlines, type Timed } from '../../../../gateway/http/message/deadlines.ts';

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

  it('do not expire any more once they are closed', async () => {
    let expired = 0;
    await new Promise<void>((resolve) => {
      for (let count = 0; count < 3; count++) {
        deadlines.watch(
          due(() => {
            expired++;
            hold(LONG_MS);
            deadlines.close();
            setImmediate(() => setImmediate(resolve));
          }),
        );
      }
    });

    assert.equal(expired, 1);
  });
});
