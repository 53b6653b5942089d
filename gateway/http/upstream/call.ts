// One try: a request on its way over a connection, and the response to it.
// Must not retry: it says how far it came.
import { performance } from 'node:perf_hooks';
import type { UpstreamCall, UpstreamFailure, UpstreamHandler, UpstreamRequest } from '../../core/ports.ts';
import type { Deadlines, Timed } from '../message/deadlines.ts';
import type { MessageWriter } from '../socket/message-writer.ts';
import { SocketTunnel } from '../socket/socket-tunnel.ts';
import type { Connection } from './connection.ts';
import type { ResponseHead } from './head-parser.ts';
import type { Borrower } from './pool.ts';
import { type SendEvents, type Sending, sendRequest } from './request-writer.ts';
import { type ResponseEvents, ResponseReader } from './response-reader.ts';
import { isShortage } from './shortage.ts';

/** A target that had less than this share of `connectMs` to open a connection is not to blame: the rest went by in our queue. */
const OWN_SHARE = 0.5;

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
  readonly hasBodyToCome: boolean;
  readonly #request: UpstreamRequest;
  readonly #handler: UpstreamHandler;
  readonly #deadlines: Deadlines;
  readonly #connectMs: number;
  readonly #reader: ResponseReader;
  #connection: Connection | undefined;
  #lentMs = 0;
  #sending: Sending | undefined;
  #head: ResponseHead | undefined;
  #trailers: readonly string[] | undefined;
  #tunnel: SocketTunnel | undefined;
  #isSent = false;
  /** The client owes bytes of its body. */
  #isClientsTurn = false;
  #isPaused = false;
  /** The bytes at hand held a head or some of a body: the framing alone is no progress. */
  #hasProgressed = false;
  #hasEnded = false;
  /** The client's side of the tunnel has closed. */
  #isClientGone = false;

  constructor({ request, handler, connectMs, deadlines }: CallOptions) {
    this.#request = request;
    this.wantsFresh = request.isRetry ?? false;
    this.hasBodyToCome = request.body !== undefined && !(request.body instanceof Uint8Array);
    this.#handler = handler;
    this.#deadlines = deadlines;
    this.#reader = new ResponseReader(request.method, request.upgrade !== undefined, this);
    this.#connectMs = connectMs;
    // Waiting for a connection counts as connecting: to the client it is the same.
    this.deadlineMs = this.#within(connectMs);
    deadlines.watch(this);
  }

  use(connection: Connection): void {
    this.#connection = connection;
    if (!connection.isOpen) this.#lentMs = performance.now();
    connection.carry(this);
  }

  resume(): void {
    if (this.isOver || !this.#isPaused) return;
    this.#isPaused = false;
    this.#wait();
    this.#connection?.socket.resume();
  }

  abort(): void {
    if (this.isOver) return;
    if (this.#connection && this.#tunnel?.isEnding) {
      // What the client said before it went is still being written.
      this.#isClientGone = true;
      this.deadlineMs = this.#within(this.#request.idleMs);
      return;
    }
    this.#finish()?.close();
  }

  /** Ends the call before it had a connection: too many wait for one. */
  refuse(): void {
    this.#fail('overloaded', new Error('too many requests wait for a connection'));
  }

  onOpen(writer: MessageWriter): void {
    if (this.isOver) return;
    // A request that leaves whole has been sent by the time that this would say something.
    if (this.hasBodyToCome) this.deadlineMs = this.#within(this.#request.idleMs);
    this.#sending = sendRequest(writer, this.#request, this);
  }

  onProgress(isClientsTurn: boolean): void {
    this.#isClientsTurn = isClientsTurn;
    if (!this.isOver) this.#wait();
  }

  onSent(): void {
    this.#isSent = true;
    this.#isClientsTurn = false;
    if (this.isOver) return;
    if (this.hasBodyToCome) this.#connection?.sent();
    if (this.#head) this.#wait();
    else this.deadlineMs = this.#within(this.#request.responseMs);
  }

  onBodyFailed(error: Error): void {
    this.#fail('request-aborted', error);
  }

  onBytes(bytes: Buffer): void {
    this.#hasProgressed = false;
    try {
      const rest = this.#reader.read(bytes);
      if (this.#hasEnded) this.#complete(rest);
      else if (this.#head?.status === 101) this.#switch(this.#head, rest);
      // Once for all that came together, and not at all for a response that came whole.
      else if (this.#hasProgressed && !this.isOver) this.#wait();
    } catch (error) {
      this.#fail(
        this.#head ? 'broken-response' : 'invalid-response',
        error instanceof Error ? error : new Error(String(error)),
      );
    }
  }

  onInformational(head: ResponseHead): void {
    if (head.status === 101) this.#head = head;
    else if (head.status === 100) this.#sending?.proceed();
    else if (!this.isOver) this.#handler.onInformational(head.status, head.rawHeaders);
  }

  onHead(head: ResponseHead): void {
    this.#head = head;
    this.#hasProgressed = true;
    if (!this.isOver) this.#handler.onHead(head.status, head.rawHeaders);
  }

  onBody(bytes: Buffer): void {
    if (this.isOver) return;
    this.#hasProgressed = true;
    if (this.#handler.onChunk(bytes) || this.isOver || this.#isPaused) return;
    this.#isPaused = true;
    this.#connection?.socket.pause();
  }

  onEnd(trailers: readonly string[] | undefined): void {
    this.#hasEnded = true;
    this.#trailers = trailers;
  }

  onPeerEnd(): void {
    if (this.isOver || !this.#reader.endByClose()) return;
    this.#complete(undefined);
  }

  onConnectionFailed(error: Error): void {
    if (this.isOver) return;
    // The tunnel's sink has heard it.
    if (this.#tunnel) this.#leaveTunnel(this.#tunnel);
    else if (!this.#connection?.isOpen) this.#fail(isShortage(error) ? 'overloaded' : 'connect-failed', error);
    else if (this.#head || this.#reader.hasBegun) this.#fail('broken-response', error);
    else this.#fail('reset-before-response', error);
  }

  /** Hears that the connection is closed, and that none of the request has left on it. */
  onUnsent(cause: Error): void {
    this.#fail('not-sent', cause);
  }

  expire(): void {
    const cause = new Error('the time is over');
    if (this.#tunnel) {
      this.#finish();
      this.#tunnel.expire();
    } else if (performance.now() >= (this.#request.deadlineMs ?? Number.POSITIVE_INFINITY)) {
      this.#fail('deadline-exceeded', cause);
    } else if (!this.#connection) this.#fail('overloaded', new Error('no connection was free in time'));
    else if (!this.#connection.isOpen && performance.now() - this.#lentMs < OWN_SHARE * this.#connectMs) {
      this.#fail('overloaded', new Error('no connection was free in time to open it'));
    } else if (!this.#connection.isOpen) this.#fail('connect-timeout', cause);
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
    this.#handler.onEnd(this.#trailers);
  }

  /** Gives the connection away: it speaks another protocol from here on, and never comes back to the pool. */
  #switch(head: ResponseHead, rest: Buffer | undefined): void {
    if (this.isOver || !this.#connection) return;
    const tunnel = new SocketTunnel(this.#connection.socket, {
      onActivity: () => {
        // To a client that is gone a target could talk for ever.
        if (!this.#isClientGone) this.deadlineMs = this.#within(this.#request.idleMs);
      },
    });
    this.#tunnel = tunnel;
    this.deadlineMs = this.#within(this.#request.idleMs);
    this.#connection.hand(tunnel);
    if (rest) tunnel.take(rest);
    this.#handler.onUpgrade(head.rawHeaders, tunnel);
  }

  /** Its connection is closed. A client that has yet to take the end of it, or to close its own half, gets as long as ever. */
  #leaveTunnel(tunnel: SocketTunnel): void {
    this.#connection = undefined;
    if (!tunnel.hasEnded || this.#isClientGone) this.#finish();
    else this.deadlineMs = this.#within(this.#request.idleMs);
  }

  /** Waits for the target, unless it waits for us or for the client: then its silence is not its fault. */
  #wait(): void {
    // A client's body and a client's reading have time-outs of their own.
    const isTargetsTurn = !this.#isPaused && !this.#isClientsTurn;
    this.deadlineMs = this.#within(isTargetsTurn ? this.#request.idleMs : Number.POSITIVE_INFINITY);
  }

  /** Gives the deadline that is so far away, or that of the whole try when it comes first. */
  #within(ms: number): number {
    const deadlineMs = performance.now() + ms;
    const last = this.#request.deadlineMs;
    return last !== undefined && last < deadlineMs ? last : deadlineMs;
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
