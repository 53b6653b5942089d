// An upgraded connection: the socket's bytes as they are.
// Must not know which side of the gateway it stands on.
import type { Socket } from 'node:net';
import type { BodySink, Tunnel } from '../../core/ports.ts';
import { breakSocket } from './break-socket.ts';

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
  #hasPeerEnded = false;

  constructor(socket: Socket, events: TunnelEvents) {
    this.#socket = socket;
    this.#events = events;
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    for (const bytes of this.#held.splice(0)) this.#pass(sink, bytes);
    if (this.#hasPeerEnded) sink.end();
    else if (this.#socket.destroyed) sink.fail(new Error('the connection closed'));
    else this.#socket.resume();
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
    return this.#socket.write(chunk);
  }

  onDrain(callback: () => void): void {
    this.#socket.on('drain', callback);
  }

  end(): void {
    this.#socket.end();
  }

  abort(): void {
    breakSocket(this.#socket);
  }

  /** Takes bytes that the socket lent. */
  take(lent: Buffer): void {
    if (lent.length === 0) return;
    const bytes = Buffer.from(lent);
    this.#events.onActivity();
    if (this.#sink) this.#pass(this.#sink, bytes);
    else this.#held.push(bytes);
  }

  #pass(sink: BodySink, bytes: Buffer): void {
    if (!sink.write(bytes)) this.#socket.pause();
  }

  /** Hears that the peer closed its half. */
  takeEnd(): void {
    this.#hasPeerEnded = true;
    this.#sink?.end();
  }

  /** Hears that the connection is gone. */
  takeClose(): void {
    if (!this.#hasPeerEnded) this.#sink?.fail(new Error('the connection closed'));
  }
}
