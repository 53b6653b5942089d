// The sliding-window log: counts uses of one key exactly, or on the safe side of exact.
// Must not know where time comes from, who asks, or how many processes there are.
import type { LimitWindow } from '../core/plugin.ts';

/** Largest limit whose uses are kept to the millisecond: at most 8 KiB of log per key and window. */
const MAX_EXACT_REQUESTS = 1024;

/** Parts of a window above that: a part counts whole until all of it has left, so at most 1/129 of the limit is unused. */
const PARTS = 128;

const FIRST_CAPACITY = 4;
const NO_RING: Uint32Array = new Uint32Array(0);

/**
 * Counts the uses of one key in one window. A use counts until `windowMs` after the *end* of its tick, so that no
 * window of that length, wherever it starts, ever holds more than was let in. Times are monotonic milliseconds.
 */
export class WindowLog {
  readonly requests: number;
  readonly windowMs: number;
  readonly #tickMs: number;
  // A ring of pairs: end of the tick in ms modulo 2^32, then the uses in it. Oldest first.
  #ring: Uint32Array = NO_RING;
  #head = 0;
  #size = 0;
  #total = 0;
  #newestEndMs = Number.NEGATIVE_INFINITY;

  constructor(window: LimitWindow) {
    this.requests = window.requests;
    this.windowMs = window.windowMs;
    this.#tickMs = tickMsOf(window);
  }

  /** Gives how many more uses fit now; negative when more were added than the limit allows. */
  free(nowMs: number): number {
    if (this.#size > 0) this.#expire(nowMs);
    return this.requests - this.#total;
  }

  /** Counts uses that happened at `atMs`, now or in the past; they may come out of order. */
  add(atMs: number, count: number): void {
    if (this.#size > 0) this.#expire(atMs);
    const endMs = (Math.floor(atMs / this.#tickMs) + 1) * this.#tickMs;
    if (endMs === this.#newestEndMs && this.#size > 0) {
      this.#addAt(this.#size - 1, count);
    } else if (endMs > this.#newestEndMs || this.#size === 0) {
      this.#insert(this.#size, endMs, count);
      this.#newestEndMs = endMs;
    } else if (endMs + this.windowMs > this.#newestEndMs - this.#tickMs) {
      this.#addLate(endMs, count);
    }
  }

  /** Gives when the next use fits if `held` more are counted besides; Infinity when the log alone cannot tell. */
  freeAtMs(held: number): number {
    let excess = this.#total + held - this.requests + 1;
    if (excess <= 0) return 0;
    for (let index = 0; index < this.#size; index++) {
      excess -= this.#countAt(index);
      if (excess <= 0) return this.#endMsAt(index) + this.windowMs;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Gives what is in the log as [atMs, count, atMs, count ...], each time the latest that its tick allows. */
  entries(): number[] {
    const entries: number[] = [];
    for (let index = 0; index < this.#size; index++) entries.push(this.#endMsAt(index) - 1, this.#countAt(index));
    return entries;
  }

  #expire(nowMs: number): void {
    const wholeMs = Math.floor(nowMs);
    // Compared in full width first: the ring's 32 bits would take a log idle for weeks for a young one.
    if (wholeMs - this.#newestEndMs >= this.windowMs) {
      this.#head = 0;
      this.#size = 0;
      this.#total = 0;
      return;
    }
    const ring = this.#ring;
    while (((wholeMs - (ring[this.#head * 2] ?? 0)) | 0) >= this.windowMs) {
      this.#total -= ring[this.#head * 2 + 1] ?? 0;
      this.#head = (this.#head + 1) & (ring.length / 2 - 1);
      this.#size -= 1;
    }
  }

  #addLate(endMs: number, count: number): void {
    let index = this.#size;
    while (index > 0 && this.#endMsAt(index - 1) > endMs) index -= 1;
    if (index > 0 && this.#endMsAt(index - 1) === endMs) this.#addAt(index - 1, count);
    else this.#insert(index, endMs, count);
  }

  #insert(index: number, endMs: number, count: number): void {
    if (this.#size * 2 === this.#ring.length) this.#grow();
    const ring = this.#ring;
    for (let later = this.#size; later > index; later--) {
      ring[this.#slot(later)] = ring[this.#slot(later - 1)] ?? 0;
      ring[this.#slot(later) + 1] = ring[this.#slot(later - 1) + 1] ?? 0;
    }
    ring[this.#slot(index)] = endMs % 0x1_0000_0000;
    ring[this.#slot(index) + 1] = count;
    this.#size += 1;
    this.#total += count;
  }

  #grow(): void {
    const ring = new Uint32Array(Math.max(FIRST_CAPACITY * 2, this.#ring.length * 2));
    const head = this.#head * 2;
    ring.set(this.#ring.subarray(head));
    ring.set(this.#ring.subarray(0, head), this.#ring.length - head);
    this.#ring = ring;
    this.#head = 0;
  }

  #slot(index: number): number {
    return ((this.#head + index) * 2) & (this.#ring.length - 1);
  }

  #addAt(index: number, count: number): void {
    const slot = this.#slot(index) + 1;
    this.#ring[slot] = (this.#ring[slot] ?? 0) + count;
    this.#total += count;
  }

  #countAt(index: number): number {
    return this.#ring[this.#slot(index) + 1] ?? 0;
  }

  #endMsAt(index: number): number {
    return this.#newestEndMs - ((this.#newestEndMs - (this.#ring[this.#slot(index)] ?? 0)) >>> 0);
  }
}

/** Gives how finely a window tells times apart: uses whose times lie in one tick count alike. */
export function tickMsOf({ requests, windowMs }: LimitWindow): number {
  return requests <= MAX_EXACT_REQUESTS ? 1 : Math.max(1, Math.ceil(windowMs / PARTS));
}

/** Counts the uses of one key in all windows of its limit: a use must fit every window and counts in each. */
export class KeyLog {
  readonly windows: readonly LimitWindow[];
  /** Index of the window that decided the last `free` or `freeAtMs`. */
  tightest = 0;
  readonly #logs: readonly WindowLog[];

  constructor(windows: readonly LimitWindow[]) {
    this.windows = windows;
    this.#logs = windows.map((window) => new WindowLog(window));
  }

  /** Gives how many more uses fit every window now. */
  free(nowMs: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#logs.length; index++) {
      const free = this.#logs[index]?.free(nowMs) ?? 0;
      if (free >= least) continue;
      least = free;
      this.tightest = index;
    }
    return least;
  }

  /** Counts uses at `atMs` in every window. */
  add(atMs: number, count: number): void {
    for (const log of this.#logs) log.add(atMs, count);
  }

  /** Gives when the next use fits every window if `held` more are counted besides. */
  freeAtMs(held: number): number {
    let latest = 0;
    for (let index = 0; index < this.#logs.length; index++) {
      const atMs = this.#logs[index]?.freeAtMs(held) ?? 0;
      if (atMs < latest) continue;
      latest = atMs;
      this.tightest = index;
    }
    return latest;
  }

  /** Says whether no use counts any more, so that forgetting the key changes nothing. */
  isEmpty(nowMs: number): boolean {
    return this.#logs.every((log) => log.free(nowMs) === log.requests);
  }

  /** Gives the uses of the longest window, as `WindowLog.entries`. */
  entries(): number[] {
    let longest = this.#logs[0];
    for (const log of this.#logs) if (log.windowMs > (longest?.windowMs ?? 0)) longest = log;
    return longest?.entries() ?? [];
  }

  /** Builds a log for other windows that remembers the same uses: a changed limit is no free window. */
  reshape(windows: readonly LimitWindow[]): KeyLog {
    const reshaped = new KeyLog(windows);
    reshaped.addAll(this.entries());
    return reshaped;
  }

  /** Counts uses given as [atMs, count, atMs, count ...]. */
  addAll(entries: readonly number[]): void {
    for (let index = 0; index + 1 < entries.length; index += 2) this.add(entries[index] ?? 0, entries[index + 1] ?? 0);
  }
}
