// Pausing of a socket without losing sight of its peer.
// Must not decide when to pause.
import type { Socket } from 'node:net';
import type { Deadlines, Timed } from '../message/deadlines.ts';

/** How often a peer that is not read from is looked at. */
const LOOK_MS = 50;

/**
 * Pauses and resumes a socket. A paused one hears nothing, not even that its peer has reset the connection, so the system is
 * asked now and then. An orderly end behind bytes that were not read cannot be seen: it has not arrived yet.
 */
export class WatchedPause implements Timed {
  deadlineMs = 0;
  slot = -1;
  readonly #socket: Socket;
  readonly #deadlines: Deadlines;
  #isWatched = false;

  constructor(socket: Socket, deadlines: Deadlines) {
    this.#socket = socket;
    this.#deadlines = deadlines;
  }

  pause(): void {
    this.#socket.pause();
    if (this.#isWatched) return;
    this.#isWatched = true;
    this.deadlineMs = performance.now() + LOOK_MS;
    this.#deadlines.watch(this);
  }

  resume(): void {
    this.#socket.resume();
    this.forget();
  }

  /** Stops looking: the socket is gone. */
  forget(): void {
    if (!this.#isWatched) return;
    this.#isWatched = false;
    this.#deadlines.forget(this);
  }

  expire(): void {
    this.deadlineMs = performance.now() + LOOK_MS;
    // To write nothing fails on a connection that was reset, and does nothing else. What waits to be written will fail by itself.
    if (this.#socket.writable && this.#socket.writableLength === 0) this.#socket.write('', 'latin1');
  }
}
