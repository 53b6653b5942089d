// Writes whole messages to one socket, past its stream.
// Must not be used for what has to wait for a peer.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { writeText } from './direct-write.ts';
import { type HeldMessage, sendLate } from './late-writes.ts';

/** Hears what becomes of a message. */
export interface MessageEvents {
  /** The system has it whole. */
  onWritten(): void;
  /** The peer has to take some of it before the system takes the rest. */
  onStalled(): void;
}

/**
 * Writes whole messages at the end of the turn. A stream's queue and callbacks cost a twentieth of a proxied request, and do
 * nothing for a message that waits for nothing.
 */
export class MessageWriter implements HeldMessage {
  readonly socket: Socket;
  readonly #events: MessageEvents | undefined;
  readonly #isEncrypted: boolean;
  #message = '';
  /** Writes that the system has not taken whole. */
  #pending = 0;
  /** What became of it is still to be told. */
  #isOwed = false;

  constructor(socket: Socket, events?: MessageEvents) {
    this.socket = socket;
    this.#events = events;
    this.#isEncrypted = socket instanceof TLSSocket;
  }

  /** Says whether a message may pass by the stream: nothing waits in it. One that encrypts has callbacks of its own. */
  get isFree(): boolean {
    return !this.#isEncrypted && this.socket.writableLength === 0;
  }

  /** Says whether a message waits of which no byte has left. */
  get isHolding(): boolean {
    return this.#message !== '';
  }

  /** Says whether the system has still to take some of a message. */
  get isBusy(): boolean {
    return this.#message !== '' || this.#pending > 0;
  }

  /** Writes a message (Latin-1) at the end of this turn. Nothing else may be written to the socket before that. */
  write(message: string): void {
    const isWaiting = this.#message !== '';
    this.#message += message;
    this.#isOwed = true;
    if (!isWaiting) sendLate(this);
  }

  send(): void {
    const message = this.#message;
    this.#message = '';
    if (message === '' || this.socket.destroyed) return;
    this.#pending++;
    // What is taken at once is told with the others of the turn.
    if (writeText(this.socket, message, this.#taken)) this.#pending--;
  }

  tell(): void {
    if (!this.#isOwed || this.socket.destroyed) return;
    if (this.#pending > 0) this.#events?.onStalled();
    else this.#tellWritten();
  }

  readonly #taken = (error?: Error | null): void => {
    this.#pending--;
    if (this.socket.destroyed) return;
    if (error) this.socket.destroy(error);
    else if (this.#pending === 0) this.#tellWritten();
  };

  #tellWritten(): void {
    if (!this.#isOwed) return;
    this.#isOwed = false;
    this.#events?.onWritten();
  }
}
