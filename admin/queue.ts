// Lets few tasks run at a time and few wait.
// Must not know what the tasks are.

/** Bounds a queue. */
export interface QueueOptions {
  /** Tasks that run at a time. */
  readonly atOnce: number;
  /** Tasks that may wait beside those. */
  readonly maxWaiting: number;
  /** Makes the error for a task beyond. */
  readonly refuse: () => Error;
}

/** Makes a queue: gives the function that runs a task in its turn. It rejects as the task does, or with what `refuse` made. */
export function createQueue({ atOnce, maxWaiting, refuse }: QueueOptions): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running < atOnce) running += 1;
    else {
      if (waiting.length >= maxWaiting) throw refuse();
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    try {
      return await task();
    } finally {
      // The place passes straight to the next: nobody who comes now can overtake.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
