// How long the event loop of this process keeps callers waiting.
// Must not decide what is too long.
import { monitorEventLoopDelay } from 'node:perf_hooks';

const RESOLUTION_MS = 10;

/** Measures from its making to `close`. */
export interface LoopMeter {
  /** Gives the 99th percentile since the last call, in milliseconds. */
  read(): number;
  close(): void;
}

/** Starts a meter. */
export function startLoopMeter(): LoopMeter {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return {
    read() {
      // The histogram holds the time between ticks, so the tick's own period comes off.
      const delayMs = Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS);
      histogram.reset();
      return delayMs;
    },
    close: () => void histogram.disable(),
  };
}
