// A client that does not take its answer: given a time, then given up.
// Must not decide what is sent.
import type { Socket } from 'node:net';

/** Longest that a client may leave an answer lying without taking a byte of it. */
const STALLED_MS = 60_000;

/** Watches whether a client takes what waits for it. */
export class StalledClient {
  readonly #socket: Socket;
  #isStalled = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('timeout', () => {
      if (this.#isStalled) socket.destroy();
    });
  }

  begin(): void {
    this.#isStalled = true;
    // Node's own time-out counts a byte that the system took as progress, which is what is meant here.
    this.#socket.setTimeout(STALLED_MS);
  }

  /** Hears that everything was taken; says whether it was waited for. */
  end(): boolean {
    if (!this.#isStalled) return false;
    this.#isStalled = false;
    this.#socket.setTimeout(0);
    return true;
  }
}
