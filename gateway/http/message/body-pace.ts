// How slowly a client may send a body: bounds on its silence, and on its average rate.
// Must not keep time itself: whoever waits watches the deadline.

/** Slowest that a body may come on the average, once its grace is over: slower is a way to hold connections. */
const MIN_BYTES_PER_SECOND = 128;
const GRACE_MS = 30_000;

/** Counts the time that a client was waited for; not the time in which nobody read. */
export class BodyPace {
  readonly #idleMs: number;
  #waitedMs = 0;
  #waitingSinceMs = 0;

  /** `idleMs`: longest silence. */
  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  /** Begins to wait for more; gives when the client is too slow, in monotonic milliseconds. */
  wait(bytesRead: number): number {
    this.rest();
    const nowMs = performance.now();
    this.#waitingSinceMs = nowMs;
    const allowedMs = GRACE_MS + (bytesRead * 1_000) / MIN_BYTES_PER_SECOND;
    return nowMs + Math.min(this.#idleMs, Math.max(0, allowedMs - this.#waitedMs));
  }

  /** Ends to wait: it is not the client's turn. */
  rest(): void {
    if (this.#waitingSinceMs > 0) this.#waitedMs += performance.now() - this.#waitingSinceMs;
    this.#waitingSinceMs = 0;
  }
}
