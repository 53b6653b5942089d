// An upgraded connection: the socket's bytes as they are.
// Must not know which side of the gateway it stands on.
import type { Socket } from 'node:net';
import type { BodySink, Tunnel } from '../../core/ports.ts';
import { breakSocket } from './break-socket.ts';
import { writeLate } from './late-writes.ts';
import { checkEnd } from './orderly-end.ts';

/** Most bytes that are kept before somebody listens. */
const MAX_HELD_BYTES = 64 * 1024;

/** Is what a tunnel tells the connection that it took over. */
export interface TunnelEvents {
  /** Bytes went either way. */
  onActivity(): void;
}

/** Is a socket after the switch; its connection hands it what the socket says. */
export class SocketTunnel implements Tunnel {
  readonly #socket: Socket;
  readonly #events: TunnelEvents;
  #sink: BodySink | undefined;
  /** What came before somebody listened. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #hasPeerEnded = false;
  #hasEnded = false;

  /** Says that our half is closed, or will be once everything is written. */
  get isEnding(): boolean {
    return this.#hasEnded;
  }

  /** Says that both sides have said all they had to say. */
  get hasEnded(): boolean {
    return this.#hasEnded && this.#hasPeerEnded;
  }

  constructor(socket: Socket, events: TunnelEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    let mayGoOn = true;
    for (const bytes of this.#held.splice(0)) mayGoOn = sink.write(bytes);
    if (this.#hasPeerEnded) sink.end();
    else if (this.#socket.destroyed) sink.fail(new Error('the connection closed'));
    else if (mayGoOn) this.#socket.resume();
    else this.#socket.pause();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#events.onActivity();
    this.#socket.resume();
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#socket.writable) return true;
    this.#events.onActivity();
    return writeLate(this.#socket, chunk);
  }

  onDrain(callback: () => void): void {
    this.#socket.on('drain', callback);
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    // Not before everything is written: an ending socket cannot be reset, and would look whole when the other side breaks.
    this.#socket.write('', 'latin1', () => this.#socket.end());
  }

  abort(): void {
    breakSocket(this.#socket);
  }

  /** Gives up: breaks this side, and the other also when this one has gone already. */
  expire(): void {
    this.abort();
    this.#sink?.fail(new Error('nothing went either way for too long'));
  }

  /** Takes bytes that the socket lent. */
  take(lent: Buffer): void {
    if (lent.length === 0) return;
    const bytes = Buffer.from(lent);
    this.#events.onActivity();
    if (this.#sink) {
      if (!this.#sink.write(bytes)) this.#socket.pause();
      return;
    }
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#heldBytes > MAX_HELD_BYTES) this.#socket.pause();
  }

  /** Hears that the peer closed its half. */
  takeEnd(): void {
    checkEnd(this.#socket, (reset) => {
      if (reset) {
        this.#socket.destroy(reset);
        return;
      }
      this.#hasPeerEnded = true;
      // Node closes both halves of such a socket by itself, as it does over TLS; that is no breaking off.
      if (!this.#socket.allowHalfOpen) this.#hasEnded = true;
      this.#sink?.end();
    });
  }

  /** Hears that the connection is gone. */
  takeClose(): void {
    // After both halves were closed nothing is lost; else what the other side still says would get nowhere.
    if (!this.#hasPeerEnded || !this.#hasEnded) this.#sink?.fail(new Error('the connection closed'));
  }
}
