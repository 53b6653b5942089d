// Remembers for a moment which credentials do not exist, so that a client that repeats a wrong key costs little.
// Must not remember for longer than a new credential may take to work.
import type { Clock } from '../../core/plugin.ts';

const KEEP_MS = 1_000;
const MAX_ENTRIES = 10_000;

/** Owns the short memory of absences. */
export class Absences {
  readonly #clock: Clock;
  readonly #expiry = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  has(key: string): boolean {
    const expiry = this.#expiry.get(key);
    if (expiry === undefined) return false;
    if (expiry > this.#clock.monotonicMs()) return true;
    this.#expiry.delete(key);
    return false;
  }

  add(key: string): void {
    // All of them are at most a second old: starting over is cheaper than keeping an order.
    if (this.#expiry.size >= MAX_ENTRIES) this.#expiry.clear();
    this.#expiry.set(key, this.#clock.monotonicMs() + KEEP_MS);
  }

  clear(): void {
    this.#expiry.clear();
  }
}
