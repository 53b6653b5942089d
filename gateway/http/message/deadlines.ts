// Time-outs of many requests by one ticker: a timer of its own would cost each request more than its routing.
// Must not keep the process alive.

/** Is what has a deadline, in monotonic milliseconds; Infinity = none at the moment. */
export interface Timed {
  deadlineMs: number;
  /** Where it is watched; belongs to `Deadlines`. */
  slot: number;
  expire(): void;
}

/** Longest that expiring holds up others, in milliseconds: what is due at once may be all of a thousand slow clients. */
const SLICE_MS = 1;

/** Watches deadlines; the ticker runs only while there are any. */
export class Deadlines {
  // Not a Set: one whose members come and go leaves a chain of outgrown tables, through which every request that was ever
  // in it outlives the young generation. That cost a fifth of the CPU in garbage collection.
  readonly #watched: Timed[] = [];
  readonly #tickMs: number;
  #ticker: NodeJS.Timeout | undefined;
  /** Due when last looked, and not expired since. */
  #due: Timed[] = [];
  /** Runs when some are left. */
  #rest: NodeJS.Timeout | undefined;

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
    clearTimeout(this.#rest);
    this.#due = [];
  }

  #tick(): void {
    if (this.#watched.length === 0) {
      clearInterval(this.#ticker);
      this.#ticker = undefined;
      return;
    }
    if (this.#due.length === 0) {
      const nowMs = performance.now();
      // A copy: what expires is forgotten, and another takes its slot. Taken from its end, so the last comes first.
      this.#due = this.#watched.filter(({ deadlineMs }) => deadlineMs <= nowMs).reverse();
    }
    this.#expireSome();
  }

  /** Expires what is due for one slice, and the rest after the others' turn. */
  #expireSome(): void {
    let nowMs = performance.now();
    const endMs = nowMs + SLICE_MS;
    for (let one = this.#due.pop(); one; one = nowMs < endMs ? this.#due.pop() : undefined) {
      // Meanwhile it may have ended, or got more time.
      if (this.#watched[one.slot] === one && one.deadlineMs <= nowMs) one.expire();
      nowMs = performance.now();
    }
    // A look in between does a slice too; it also goes on where a hook that was cut ended this one.
    clearTimeout(this.#rest);
    if (this.#due.length === 0) return;
    // By no immediate: what expires runs hooks, and Node does not outlive the cut of one that an immediate called.
    this.#rest = setTimeout(() => this.#expireSome(), 0);
    this.#rest.unref();
  }
}
