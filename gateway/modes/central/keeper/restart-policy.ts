// How long to wait before a crashed worker is started again.
// Must not start anything.
import type { Clock } from '../../../core/ports.ts';

/** Crashes within a minute that are answered at once. */
const FREE_CRASHES = 5;
const WINDOW_MS = 60_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 5_000;

/** Says how long to wait after a crash that happens now. */
export interface RestartPolicy {
  nextDelayMs(): number;
}

/** Makes a policy: at once for the first five crashes in a minute, then 100 ms doubling to 5 s. */
export function createRestartPolicy(clock: Pick<Clock, 'monotonicMs'>): RestartPolicy {
  let crashes: number[] = [];
  return {
    nextDelayMs() {
      const nowMs = clock.monotonicMs();
      crashes = [...crashes.filter((atMs) => nowMs - atMs < WINDOW_MS), nowMs];
      const excess = crashes.length - FREE_CRASHES;
      return excess <= 0 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (excess - 1));
    },
  };
}
