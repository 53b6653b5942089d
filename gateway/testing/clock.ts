// A clock that stands still until a test moves it.
// Must not read the real time.
import type { Clock } from '../core/plugin.ts';

/** Is a clock in the test's hand. */
export interface FakeClock extends Clock {
  /** Moves both times forward. */
  advance(ms: number): void;
}

/** Where the wall clock starts: 2026-01-01T00:00:00Z. */
const START_MS = Date.UTC(2026, 0, 1);

/** Builds a clock that starts at `startMs` (default 2026-01-01T00:00:00Z) and moves only by `advance`. */
export function fakeClock(startMs: number = START_MS): FakeClock {
  let elapsedMs = 0;
  return {
    wallMs: () => startMs + elapsedMs,
    monotonicMs: () => elapsedMs,
    advance(ms) {
      elapsedMs += ms;
    },
  };
}
