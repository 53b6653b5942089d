// Time-outs of many requests by one ticker: a timer of its own would cost each request more than its routing.
// Must not keep the process alive.

/** How often deadlines are looked at: time-outs come at most so much late. */
const TICK_MS = 20;

/** Is what has a deadline, in monotonic milliseconds; Infinity = none at the moment. */
export interface Timed {
  deadlineMs: number;
  expire(): void;
}

/** Watches deadlines; the ticker runs only while there are any. */
export class Deadlines {
  readonly #watched = new Set<Timed>();
  #ticker: NodeJS.Timeout | undefined;

  watch(one: Timed): void {
    this.#watched.add(one);
    if (this.#ticker) return;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#ticker.unref();
  }

  forget(one: Timed): void {
    this.#watched.delete(one);
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    this.#watched.clear();
  }

  #tick(): void {
    if (this.#watched.size === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
      return;
    }
    const nowMs = performance.now();
    for (const one of this.#watched) if (one.deadlineMs <= nowMs) one.expire();
  }
}
