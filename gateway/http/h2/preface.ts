// Tells HTTP/2 with prior knowledge from HTTP/1.1 by the first bytes of a connection.
// Must not interpret them: whoever speaks the protocol reads them.
import type { Socket } from 'node:net';
import type { Deadlines, Timed } from '../message/deadlines.ts';

/** What every HTTP/2 connection begins with: RFC 9113 section 3.4. */
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
/** How long a connection on which nothing came stays open while draining. */
const DRAIN_GRACE_MS = 1_000;

/** Is what telling them apart needs. */
export interface PrefaceOptions {
  readonly deadlines: Deadlines;
  /** How long the first bytes may take. */
  readonly timeoutMs: number;
  /** Takes the connection, and what came on it. */
  onHttp1(bytes: Buffer): void;
  /** Takes the connection; what came on it is in the socket again. */
  onHttp2(): void;
}

/** Waits for as many bytes as it takes to tell. */
export class PrefaceReader implements Timed {
  readonly protocol = 'none';
  deadlineMs: number;
  slot = -1;
  readonly #socket: Socket;
  readonly #options: PrefaceOptions;
  readonly #onData = (bytes: Buffer): void => this.#take(bytes);
  readonly #onEnd = (): void => void this.#socket.destroy();
  readonly #onClose = (): void => this.#options.deadlines.forget(this);
  #held: Buffer | undefined;

  constructor(socket: Socket, options: PrefaceOptions) {
    this.#socket = socket;
    this.#options = options;
    this.deadlineMs = performance.now() + options.timeoutMs;
    options.deadlines.watch(this);
    socket.on('data', this.#onData);
    socket.on('end', this.#onEnd);
    socket.on('close', this.#onClose);
  }

  /** Closes soon: nothing was asked yet. */
  drain(): void {
    this.deadlineMs = Math.min(this.deadlineMs, performance.now() + DRAIN_GRACE_MS);
  }

  expire(): void {
    // Part of the preface is no request either: there is nobody to answer.
    this.#socket.destroy();
  }

  #take(bytes: Buffer): void {
    const all = this.#held ? Buffer.concat([this.#held, bytes]) : bytes;
    const length = Math.min(all.length, PREFACE.length);
    if (all.toString('latin1', 0, length) !== PREFACE.slice(0, length)) {
      this.#leave();
      this.#options.onHttp1(all);
    } else if (length < PREFACE.length) this.#held = all;
    else {
      this.#leave();
      // It must not flow to nobody.
      this.#socket.pause();
      this.#socket.unshift(all);
      this.#options.onHttp2();
    }
  }

  #leave(): void {
    this.#options.deadlines.forget(this);
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onEnd);
    this.#socket.off('close', this.#onClose);
  }
}
