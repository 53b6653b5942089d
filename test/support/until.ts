// Waits for what happens by itself.
// Must not be used where a promise or an event tells.

/** Lets other events happen until `isDone`; the test's own time-out bounds it. */
export async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setImmediate(resolve));
}
