// One try: a request on its way over a connection, and the response to it.
// Must not retry: it says how far it came.
import type { Socket } from 'node:net';
import type { UpstreamCall, UpstreamFailure, UpstreamHandler, UpstreamRequest } from '../../core/ports.ts';
import type { Connection } from './connection.ts';
import type { Deadlines, Timed } from './deadlines.ts';
import type { ResponseHead } from './head-parser.ts';
import type { Borrower } from './pool.ts';
import { type SendEvents, sendRequest } from './request-writer.ts';
import { type ResponseEvents, ResponseReader } from './response-reader.ts';

/** Is what a call is made of. */
export interface CallOptions {
  readonly request: UpstreamRequest;
  readonly handler: UpstreamHandler;
  readonly connectMs: number;
  readonly deadlines: Deadlines;
}

/** Carries one request to its response. */
export class Call implements UpstreamCall, Borrower<Connection>, Timed, ResponseEvents, SendEvents {
  deadlineMs: number;
  slot = -1;
  isOver = false;
  readonly wantsFresh: boolean;
  readonly #request: UpstreamRequest;
  readonly #handler: UpstreamHandler;
  readonly #deadlines: Deadlines;
  readonly #reader: ResponseReader;
  #connection: Connection | undefined;
  #head: ResponseHead | undefined;
  #isSent = false;
  #isPaused = false;
  #hasEnded = false;

  constructor({ request, handler, connectMs, deadlines }: CallOptions) {
    this.#request = request;
    this.wantsFresh = request.isRetry ?? false;
    this.#handler = handler;
    this.#deadlines = deadlines;
    this.#reader = new ResponseReader(request.method, this);
    // Waiting for a connection counts as connecting: to the client it is the same.
    this.deadlineMs = performance.now() + connectMs;
    deadlines.watch(this);
  }

  use(connection: Connection): void {
    this.#connection = connection;
    connection.carry(this);
  }

  resume(): void {
    if (this.isOver || !this.#isPaused) return;
    this.#isPaused = false;
    this.deadlineMs = performance.now() + this.#request.idleMs;
    this.#connection?.socket.resume();
  }

  abort(): void {
    if (this.isOver) return;
    this.#finish()?.close();
  }

  /** Ends the call before it had a connection: too many wait for one. */
  refuse(): void {
    this.#fail('overloaded', new Error('too many requests wait for a connection'));
  }

  onOpen(socket: Socket): void {
    if (this.isOver) return;
    this.deadlineMs = performance.now() + this.#request.idleMs;
    sendRequest(socket, this.#request, this);
  }

  onProgress(isClientsTurn: boolean): void {
    if (this.isOver || this.#head) return;
    // While the client owes bytes the target is not to blame for the silence; the body's own time-out bounds it.
    this.deadlineMs = isClientsTurn ? Number.POSITIVE_INFINITY : performance.now() + this.#request.idleMs;
  }

  onSent(): void {
    this.#isSent = true;
    if (!this.#head && !this.isOver) this.deadlineMs = performance.now() + this.#request.responseMs;
  }

  onBodyFailed(error: Error): void {
    this.#fail('request-aborted', error);
  }

  onBytes(bytes: Buffer): void {
    try {
      const rest = this.#reader.read(bytes);
      if (this.#hasEnded) this.#complete(rest);
    } catch (error) {
      this.#fail(
        this.#head ? 'broken-response' : 'invalid-response',
        error instanceof Error ? error : new Error(String(error)),
      );
    }
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
    this.deadlineMs = performance.now() + this.#request.idleMs;
    if (!this.isOver) this.#handler.onHead(head.status, head.rawHeaders);
  }

  onBody(bytes: Buffer): void {
    if (this.isOver) return;
    this.deadlineMs = performance.now() + this.#request.idleMs;
    if (this.#handler.onChunk(bytes) || this.isOver || this.#isPaused) return;
    this.#isPaused = true;
    // Whoever does not read must not blame the target for the silence.
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#connection?.socket.pause();
  }

  onEnd(): void {
    this.#hasEnded = true;
  }

  onPeerEnd(): void {
    if (this.isOver || !this.#reader.endByClose()) return;
    this.#complete(undefined);
  }

  onConnectionFailed(error: Error): void {
    if (this.isOver) return;
    if (!this.#connection?.isOpen) this.#fail('connect-failed', error);
    else if (this.#head || this.#reader.hasBegun) this.#fail('broken-response', error);
    else this.#fail('reset-before-response', error);
  }

  expire(): void {
    const cause = new Error('the time is over');
    if (!this.#connection?.isOpen) this.#fail('connect-timeout', cause);
    else if (this.#head || !this.#isSent) this.#fail('idle-timeout', cause);
    else this.#fail('response-timeout', cause);
  }

  /** Ends with a whole response; `rest` came behind it, and nobody asked for it. */
  #complete(rest: Buffer | undefined): void {
    if (this.isOver) return;
    const head = this.#head;
    const connection = this.#finish();
    const isClean = rest === undefined || rest.length === 0;
    // A response that came before its request was sent leaves a connection in the middle of a body.
    const isReusable = isClean && this.#isSent && head?.isKeptAlive === true;
    if (this.#isPaused) connection?.socket.resume();
    connection?.release(isReusable, head?.keepAliveSeconds);
    this.#handler.onEnd();
  }

  #fail(failure: UpstreamFailure, cause: Error): void {
    if (this.isOver) return;
    const wasReused = this.#connection?.wasReused ?? false;
    this.#finish()?.close();
    this.#handler.onError(failure, cause, wasReused);
  }

  #finish(): Connection | undefined {
    this.isOver = true;
    this.#deadlines.forget(this);
    const connection = this.#connection;
    this.#connection = undefined;
    return connection;
  }
}
