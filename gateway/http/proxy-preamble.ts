// Waits for the header that a load balancer sends before everything else, and takes it off.
// Must not be used for clients that speak for themselves.
import type { Socket } from 'node:net';
import type { Deadlines, Timed } from './message/deadlines.ts';
import { MAX_PROXY_HEADER_BYTES, readProxyHeader } from './proxy-protocol.ts';

/** Is how long the header may take, and who hears of it. */
export interface PreambleOptions {
  readonly deadlines: Deadlines;
  readonly timeoutMs: number;
  /** The header is off the socket; `address` is undefined where the balancer speaks for itself. */
  onRead(address: string | undefined): void;
}

/** Reads the header; without one, or when it comes too slowly, the connection is closed. */
export function readPreamble(socket: Socket, options: PreambleOptions): void {
  new Preamble(socket, options).begin();
}

class Preamble implements Timed {
  readonly deadlineMs: number;
  slot = -1;
  readonly #socket: Socket;
  readonly #options: PreambleOptions;
  readonly #take = (bytes: Buffer): void => this.#read(bytes);
  readonly #closed = (): void => this.#giveUp();
  #bytes: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, options: PreambleOptions) {
    this.#socket = socket;
    this.#options = options;
    this.deadlineMs = performance.now() + options.timeoutMs;
  }

  begin(): void {
    const socket = this.#socket;
    this.#options.deadlines.watch(this);
    socket.on('data', this.#take);
    socket.once('end', this.#closed);
    socket.once('close', this.#closed);
  }

  expire(): void {
    this.#giveUp();
  }

  #read(bytes: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    const header = readProxyHeader(this.#bytes.subarray(0, MAX_PROXY_HEADER_BYTES));
    if (header.state === 'more') return;
    if (header.state === 'bad') {
      this.#giveUp();
      return;
    }
    this.#leave();
    const rest = this.#bytes.subarray(header.length);
    if (rest.length > 0) this.#socket.unshift(rest);
    this.#options.onRead(header.address);
  }

  #giveUp(): void {
    this.#leave();
    this.#socket.destroy();
  }

  #leave(): void {
    const socket = this.#socket;
    this.#options.deadlines.forget(this);
    socket.off('data', this.#take);
    socket.off('end', this.#closed);
    socket.off('close', this.#closed);
  }
}
