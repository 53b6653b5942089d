// The requests of one client connection: one at a time, in the order in which they were sent.
// Must not know what a request is about.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { GatewayError } from '../core/errors.ts';
import { refuseSocket } from './refusal.ts';

/** Most pipelined requests that are read ahead; beyond, the connection is not read until some are answered. */
const MAX_WAITING = 256;

/** Is one request that waits for its turn or has it. */
export interface Turn {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  begin(): void;
}

/**
 * Gives each request its turn when the one before is answered. Handling pipelined ones side by side would let one client
 * take every upstream connection, and node tells only the response whose turn it is when the client leaves.
 */
export class ClientConnection {
  readonly #socket: Socket;
  #waiting: Turn[] = [];
  #current: Turn | undefined;
  #farewell: GatewayError | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Says whether no answer is owed. */
  get isIdle(): boolean {
    return this.#current === undefined;
  }

  /** Begins the turn now, or after those before it. */
  enter(turn: Turn): void {
    if (this.#current === undefined) {
      this.#current = turn;
      turn.begin();
      return;
    }
    this.#waiting.push(turn);
    if (this.#waiting.length >= MAX_WAITING) this.#socket.pause();
  }

  /** Ends the current turn: its response is closed. */
  leave(): void {
    this.#current = undefined;
    if (this.#socket.destroyed) {
      this.#waiting = [];
      return;
    }
    const next = this.#waiting.shift();
    if (next) {
      // Node reads on whenever a response is finished, whatever is still waiting.
      if (this.#waiting.length >= MAX_WAITING) this.#socket.pause();
      else if (this.#socket.isPaused()) this.#socket.resume();
      this.#current = next;
      next.begin();
    } else if (this.#farewell) refuseSocket(this.#socket, this.#farewell);
  }

  /** Answers what cannot be read as a request, after every answer that is owed before it. */
  refuse(refusal: GatewayError): void {
    const current = this.#current;
    // What is wrong comes after the current request: its answer is not to blame and goes first.
    if (current?.request.complete && this.#socket.writable) this.#farewell = refusal;
    // Part of an answer is out already: another one now would be taken for the rest of it.
    else if (current?.response.headersSent) this.#socket.destroy();
    else refuseSocket(this.#socket, refusal);
  }
}
