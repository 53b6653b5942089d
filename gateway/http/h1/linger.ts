// How long a client is heard out behind its answer: to close while it sends would cost it the answer.
// Must not close anything.

/** Longest silence. */
const LINGER_IDLE_MS = 2_000;
/** Longest time in all. */
const LINGER_MS = 30_000;

/** Gives deadlines, in monotonic milliseconds. */
export class Linger {
  #untilMs = 0;

  begin(): number {
    this.#untilMs = performance.now() + LINGER_MS;
    return this.goOn();
  }

  /** Hears that the client still sends. */
  goOn(): number {
    return Math.min(this.#untilMs, performance.now() + LINGER_IDLE_MS);
  }
}
