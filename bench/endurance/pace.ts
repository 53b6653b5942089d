// Calls for an action at a constant rate, whether or not the ones before are done: load that does not wait for its victim.
// Must not know what is done.

const TICK_MS = 2;
/** After a stall of our own this many are caught up with at once at most; more would be a burst that nobody asked for. */
const MOST_AT_ONCE = 64;

/** Stops the calls. */
export type StopPace = () => void;

/** Calls `act` so many times a second, with the time (monotonic, ms) at which the call was due. */
export function startPace(perSecond: number, act: (dueMs: number) => void): StopPace {
  const gapMs = 1000 / perSecond;
  let dueMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (let calls = 0; dueMs <= nowMs; dueMs += gapMs, calls += 1) {
      if (calls < MOST_AT_ONCE) act(dueMs);
      else dueMs = nowMs;
    }
  }, TICK_MS);
  return () => clearInterval(timer);
}
