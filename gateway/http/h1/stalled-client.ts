// A client that does not take its answer: given a time, then given up.
// Must not decide what is sent.
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Deadlines, Timed } from '../message/deadlines.ts';

/** Longest that a client may leave an answer lying without taking a byte of it. */
const STALLED_MS = 60_000;
/** How long the end of an answer may wait before its client is watched: nearly all are gone long before. */
const UNWATCHED_MS = 1_000;

/** Watches whether a client takes what waits for it. */
export class StalledClient implements Timed {
  deadlineMs = 0;
  slot = -1;
  readonly #socket: Socket;
  readonly #deadlines: Deadlines;
  #isStalled = false;

  constructor(socket: Socket, deadlines: Deadlines) {
    this.#socket = socket;
    this.#deadlines = deadlines;
    socket.on('timeout', () => {
      if (this.#isStalled) socket.destroy();
    });
  }

  /** Bytes wait for the client. */
  begin(): void {
    this.#isStalled = true;
    // Node's own time-out counts a byte that the system took as progress, which is what is meant here.
    this.#socket.setTimeout(STALLED_MS);
  }

  /** Bytes may have to wait for the client: it is looked at again in a moment. */
  beginSoon(): void {
    this.deadlineMs = performance.now() + UNWATCHED_MS;
    this.#deadlines.watch(this);
  }

  expire(): void {
    this.#deadlines.forget(this);
    this.begin();
  }

  /** Hears that everything was taken, or that the client is gone; says whether it was waited for. */
  end(): boolean {
    this.#deadlines.forget(this);
    if (!this.#isStalled) return false;
    this.#isStalled = false;
    this.#socket.setTimeout(0);
    return true;
  }
}
