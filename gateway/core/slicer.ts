// Cuts long work into slices so that it never holds the event loop.
// Must not be needed on the request path: nothing there is long.

/** Longest slice of work between two turns of the event loop, in milliseconds: what a request may find in its way. */
const SLICE_MS = 2;

/** Is long work that yields wherever it may be interrupted. Run it by `inSlices`, or by `atOnce` where nobody waits. */
export type Steps<Result> = Generator<undefined, Result, undefined>;

/** Runs work to its end, and lets others run after every slice. */
export async function inSlices<Result>(steps: Steps<Result>): Promise<Result> {
  const slicer = createSlicer();
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    const pause = slicer.step();
    if (pause) await pause;
  }
}

/** Runs work to its end in one go. */
export function atOnce<Result>(steps: Steps<Result>): Result {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** Counts the steps of long work that waits for others anyway, and pauses when a slice is over. */
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
