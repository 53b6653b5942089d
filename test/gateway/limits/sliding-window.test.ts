// Tests of the sliding-window log against the plainest model there is: a list of times.
import assert from 'node:assert/strict';
import { KeyLog, WindowLog } from '../../../gateway/limits/sliding-window.ts';
import { mostInAnyWindow, randomFrom } from './simulation.ts';

interface Run {
  readonly passes: number[];
  readonly endMs: number;
}

/** Takes at random moments, in bursts and pauses, from an hour after the epoch of the clock on. */
function takeAtRandom(log: WindowLog, seed: number, count: number): Run {
  const random = randomFrom(seed);
  const passes: number[] = [];
  let nowMs = 3_600_000;
  for (let index = 0; index < count; index++) {
    const pauseMs = random() < 0.002 ? log.windowMs * random() * 1.5 : (random() * log.windowMs * 0.8) / log.requests;
    nowMs += random() < 0.3 ? 0 : pauseMs;
    if (log.free(nowMs) < 1) continue;
    log.add(nowMs, 1);
    passes.push(nowMs);
  }
  return { passes, endMs: nowMs };
}

describe('WindowLog', () => {
  for (const [requests, windowMs] of [
    [1, 1_000],
    [3, 1_000],
    [100, 10_000],
    [1_024, 1_000],
    [1_025, 1_000],
    [5_000, 60_000],
    [20_000, 1_000],
  ] as const) {
    it(`never admits more than ${requests} in any ${windowMs} ms, whatever the arrivals`, () => {
      for (let seed = 1; seed <= 5; seed++) {
        const { passes } = takeAtRandom(new WindowLog({ requests, windowMs }), seed, requests * 8 + 2_000);

        assert.ok(mostInAnyWindow(passes, windowMs) <= requests);
      }
    });

    it(`admits at least 98 % of ${requests} per ${windowMs} ms under a steady flood`, () => {
      const log = new WindowLog({ requests, windowMs });
      const startMs = 7_000;
      const windows = 6;
      const stepMs = Math.min(1, windowMs / requests / 4);
      let passes = 0;
      for (let nowMs = startMs; nowMs < startMs + windows * windowMs; nowMs += stepMs) {
        if (log.free(nowMs) < 1) continue;
        log.add(nowMs, 1);
        passes += 1;
      }

      assert.ok(passes >= windows * requests * 0.98, `${passes}`);
    });
  }

  it('keeps counting right when uses are told late and out of order', () => {
    const random = randomFrom(7);
    const log = new WindowLog({ requests: 50, windowMs: 1_000 });
    const uses: number[] = [];
    for (let nowMs = 5_000; nowMs < 15_000; nowMs += 1 + random() * 40) {
      const atMs = nowMs - random() * 900;
      log.add(atMs, 1);
      uses.push(atMs);

      const counted = uses.filter((use) => Math.floor(use) + 1 + 1_000 > Math.floor(nowMs)).length;

      assert.equal(log.free(nowMs), 50 - counted);
    }
  });

  it('says exactly when the next use fits', () => {
    const log = new WindowLog({ requests: 2, windowMs: 1_000 });
    log.add(5_000.4, 1);
    log.add(5_300, 1);

    const atMs = log.freeAtMs(0);

    assert.equal(log.free(atMs - 0.001), 0);
    assert.equal(log.free(atMs), 1);
  });

  it('cannot say when a use fits that waits for what is not in the log', () => {
    const log = new WindowLog({ requests: 2, windowMs: 1_000 });
    log.add(5_000, 1);

    assert.equal(log.freeAtMs(1), 6_001);
    assert.equal(log.freeAtMs(2), Number.POSITIVE_INFINITY);
  });

  it('forgets what happened more than 2^32 ms ago', () => {
    const log = new WindowLog({ requests: 1, windowMs: 1_000 });
    log.add(10_000, 1);

    assert.equal(log.free(10_000 + 2 ** 32), 1);
    assert.equal(log.free(10_000 + 2 ** 32 + 500), 1);
  });

  it('counts on across the wrap of its 32 bits', () => {
    const log = new WindowLog({ requests: 2, windowMs: 1_000 });
    const wrapMs = 2 ** 32;
    log.add(wrapMs - 400, 1);
    log.add(wrapMs + 200, 1);

    assert.equal(log.free(wrapMs + 590), 0);
    assert.equal(log.free(wrapMs + 601), 1);
    assert.deepEqual(log.entries(), [wrapMs + 200, 1]);
  });
});

describe('KeyLog', () => {
  it('admits a use only when every window has room, and counts it in each', () => {
    const log = new KeyLog([
      { requests: 2, windowMs: 1_000 },
      { requests: 3, windowMs: 10_000 },
    ]);
    log.add(1_000, 2);

    assert.equal(log.free(1_500), 0);
    assert.equal(log.tightest, 0);

    log.add(2_100, 1);

    assert.equal(log.free(3_500), 0);
    assert.equal(log.tightest, 1);
    assert.equal(log.freeAtMs(0), 11_001);
  });

  it('remembers its uses under changed windows', () => {
    const log = new KeyLog([{ requests: 100, windowMs: 10_000 }]);
    log.add(1_000, 40);
    log.add(6_000, 10);

    const stricter = log.reshape([{ requests: 60, windowMs: 10_000 }]);
    const shorter = log.reshape([{ requests: 20, windowMs: 2_000 }]);

    assert.equal(stricter.free(6_100), 10);
    assert.equal(shorter.free(6_100), 10);
  });

  it('is empty once all has left', () => {
    const log = new KeyLog([{ requests: 5, windowMs: 1_000 }]);
    log.add(1_000, 1);

    assert.equal(log.isEmpty(1_999), false);
    assert.equal(log.isEmpty(2_001), true);
  });
});
