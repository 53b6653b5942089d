// Turns what was seen over time into figures: the highest, the slope.
// Must not look at anything itself but through what it is given.
import { findMedian } from '../measure.ts';

/**
 * Gives the slope of a line through evenly spaced values, per step: the median of the slopes between any two of them, which
 * one value far off does not move. 0 for fewer than two.
 * @see https://en.wikipedia.org/wiki/Theil-Sen_estimator
 */
export function findSlope(values: readonly number[]): number {
  if (values.length < 2) return 0;
  return findMedian(
    values.flatMap((value, index) => values.slice(0, index).map((before, at) => (value - before) / (index - at))),
  );
}

/** Looks at a value on a schedule. */
export interface Watch {
  /** What was seen since the start or the last call. */
  take(): readonly number[];
  stop(): void;
}

/** Looks now and then every `everyMs`. */
export function startWatch(everyMs: number, look: () => number): Watch {
  let seen = [look()];
  const timer = setInterval(() => seen.push(look()), everyMs);
  return {
    take() {
      const taken = seen;
      seen = [];
      return taken;
    },
    stop: () => clearInterval(timer),
  };
}
