// Turns what was seen over time into figures: the highest, the slope.
// Must not look at anything itself but through what it is given.

/** Gives the slope of a line through evenly spaced values, by least squares, per step. 0 for fewer than two. */
export function findSlope(values: readonly number[]): number {
  const count = values.length;
  if (count < 2) return 0;
  const middle = (count - 1) / 2;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  let [above, below] = [0, 0];
  values.forEach((value, index) => {
    above += (index - middle) * (value - mean);
    below += (index - middle) ** 2;
  });
  return above / below;
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
