// Time-outs of many requests by one ticker: a timer of its own would cost each request more than its routing.
// Must not keep the process alive.

/** Is what has a deadline, in monotonic milliseconds; Infinity = none at the moment. */
export interface Timed {
  deadlineMs: number;
  /** Where it is watched; belongs to `Deadlines`. */
  slot: number;
  expire(): void;
}

/** Watches deadlines; the ticker runs only while there are any. */
export class Deadlines {
  // Not a Set: one whose members come and go leaves a chain of outgrown tables, through which every request that was ever
  // in it outlives the young generation. That cost a fifth of the CPU in garbage collection.
  readonly #watched: Timed[] = [];
  readonly #tickMs: number;
  #ticker: NodeJS.Timeout | undefined;

  /** `tickMs`: how often deadlines are looked at, which is how late a time-out may come at most. */
  constructor(tickMs: number) {
    this.#tickMs = tickMs;
  }

  watch(one: Timed): void {
    one.slot = this.#watched.length;
    this.#watched.push(one);
    if (this.#ticker) return;
    this.#ticker = setInterval(() => this.#tick(), this.#tickMs);
    this.#ticker.unref();
  }

  /** Stops watching; nothing happens when it is not watched. */
  forget(one: Timed): void {
    // Asked first: to look up what stands at -1 costs a call into V8.
    if (one.slot < 0 || this.#watched[one.slot] !== one) return;
    const last = this.#watched.pop();
    if (last === undefined || last === one) return;
    this.#watched[one.slot] = last;
    last.slot = one.slot;
  }

  close(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    this.#watched.length = 0;
  }

  #tick(): void {
    if (this.#watched.length === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
      return;
    }
    const nowMs = performance.now();
    // A copy: what expires is forgotten, and another takes its slot.
    for (const one of this.#watched.filter(({ deadlineMs }) => deadlineMs <= nowMs)) one.expire();
  }
}
