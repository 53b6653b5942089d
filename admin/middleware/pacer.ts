// Cuts long synchronous work into slices, so that no body holds up the other requests.
// Must not know what the work is.

/** Longest time a slice of work may hold the event loop, in milliseconds. */
export const SLICE_MS = 8;

/** Waits for a turn of the event loop when the current slice is used up. */
export interface Pacer {
  /** Gives undefined while the slice lasts, so that the common case costs no promise. */
  turn(): Promise<void> | undefined;
}

/** Builds a pacer; its first slice starts now. */
export function createPacer(): Pacer {
  let sliceEnd = performance.now() + SLICE_MS;
  return {
    turn() {
      if (performance.now() < sliceEnd) return undefined;
      return new Promise((resolve) => {
        setImmediate(() => {
          sliceEnd = performance.now() + SLICE_MS;
          resolve();
        });
      });
    },
  };
}
