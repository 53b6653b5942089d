// Runs callbacks later for limits; a simulation in the tests brings its own.
// Must not keep the process alive.

/** Runs callbacks later. */
export interface Scheduler {
  /** Runs at the end of this turn of the event loop. */
  soon(callback: () => void): void;
  /** Runs once, after `delayMs`. */
  after(delayMs: number, callback: () => void): void;
}

/** Runs callbacks on the event loop of this process. */
export const SCHEDULER: Scheduler = {
  soon: (callback) => void setImmediate(callback),
  after: (delayMs, callback) => void setTimeout(callback, delayMs).unref(),
};
