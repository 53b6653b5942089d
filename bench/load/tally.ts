// Counts what the harness's own generators see, and turns it into figures.
// Must not send anything.
import type { LoadResult } from './load.ts';

/** Is what has been seen so far. */
export interface Tally {
  failures: number;
  readonly latenciesMs: number[];
}

/** Gives the value below which that share (0..1) of sorted values lies. */
export function findPercentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Runs a generator for a time: `start` opens everything, and gives what closes it. */
export async function tallyFor(seconds: number, start: (tally: Tally) => () => void): Promise<LoadResult> {
  const tally: Tally = { failures: 0, latenciesMs: [] };
  const startedAt = performance.now();
  const stop = start(tally);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const tookSeconds = (performance.now() - startedAt) / 1000;
  // Before anything is closed: what breaks now is our doing.
  const { failures } = tally;
  const sorted = Float64Array.from(tally.latenciesMs).sort();
  stop();
  const [p50Ms, p99Ms] = [findPercentile(sorted, 0.5), findPercentile(sorted, 0.99)];
  return { units: sorted.length, seconds: tookSeconds, failures, p50Ms, p99Ms };
}
