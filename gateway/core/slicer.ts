// Cuts long work into slices so that it never holds the event loop.
// Must not be needed on the request path: nothing there is long.

/** Longest slice of work between two turns of the event loop, in milliseconds. */
export const SLICE_MS = 4;

/** Counts the steps of long work and pauses when a slice is over. */
export interface Slicer {
  /** Call once per step. Gives a promise when it is time to let others run. */
  step(): Promise<void> | undefined;
}

/** Starts the first slice now. */
export function createSlicer(): Slicer {
  let startedAt = performance.now();
  return {
    step() {
      if (performance.now() - startedAt < SLICE_MS) return undefined;
      return new Promise((resume) => {
        setImmediate(() => {
          startedAt = performance.now();
          resume();
        });
      });
    },
  };
}
