// The Clock port over the system's clocks.
// Must not be used where a test needs to turn time by hand: there a fake takes its place.
import { performance } from 'node:perf_hooks';
import { hrtime } from 'node:process';
import type { Clock } from '../core/ports.ts';

/** Gives a clock whose monotonic time is the same in every process of this machine. */
export function createClock(): Clock {
  // performance.now is the cheapest monotonic reading, imported more so than the global, which is a getter; but it counts
  // from the start of its own process.
  const [seconds, nanoseconds] = hrtime();
  const offsetMs = seconds * 1_000 + nanoseconds / 1e6 - performance.now();
  return { wallMs: Date.now, monotonicMs: () => performance.now() + offsetMs };
}
