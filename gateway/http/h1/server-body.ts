// The body of one request: framed by length or in chunks, bounded in silence and in slowness.
// Must not read before it is asked to, and must not wait for ever.
import { GatewayError } from '../../core/errors.ts';
import type { BodySink, BodySource } from '../../core/ports.ts';
import { BodyPace } from '../message/body-pace.ts';
import { ChunkedDecoder } from '../message/chunked-decoder.ts';

/** Body bytes read and thrown away so that a refused client can reuse its connection; more is not worth it. */
export const MAX_DISCARD_BYTES: number = 256 * 1024;
/** Most body bytes that are read before somebody asks for them. */
const MAX_HELD_BYTES = 64 * 1024;

/** Is what a body needs of its connection. */
export interface BodyConnection {
  sendContinue(): void;
  pauseReading(): void;
  resumeReading(): void;
  /** Closes the connection after the response. */
  closeAfter(): void;
  /** The deadline has moved: `deadlineMs` says where to. */
  watch(): void;
}

/** Is the body of one request. */
export class ServerBody implements BodySource {
  readonly length: number | undefined;
  readonly expectsContinue: boolean;
  bytesRead = 0;
  isDone = false;
  /** When the client is too slow, in monotonic milliseconds; Infinity = it is not its turn. */
  deadlineMs: number = Number.POSITIVE_INFINITY;
  readonly #connection: BodyConnection;
  readonly #pace: BodyPace;
  readonly #chunks: ChunkedDecoder | undefined;
  #left: number;
  #sink: BodySink | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #hasContinued = false;
  #isDiscarded = false;
  #discarded = 0;
  #error: Error | undefined;
  #isPaused = false;

  constructor(
    connection: BodyConnection,
    options: { readonly length: number | undefined; readonly expectsContinue: boolean; readonly idleMs: number },
  ) {
    this.#connection = connection;
    this.length = options.length;
    this.expectsContinue = options.expectsContinue;
    this.#pace = new BodyPace(options.idleMs);
    this.#left = options.length ?? 0;
    if (options.length === undefined) this.#chunks = new ChunkedDecoder((bytes) => this.#give(bytes));
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    if (this.#error) {
      const error = this.#error;
      queueMicrotask(() => sink.fail(error));
      return;
    }
    // The client waits for leave to send: it is given only now that somebody reads.
    if (this.expectsContinue && !this.#hasContinued && this.bytesRead === 0 && this.#held.length === 0) {
      this.#hasContinued = true;
      this.#connection.sendContinue();
    }
    this.#heldBytes = 0;
    for (const bytes of this.#held.splice(0)) this.#pass(bytes);
    if (this.isDone) this.#end();
    else if (!this.#isPaused) this.#beginToWait();
    if (!this.#isPaused) this.#connection.resumeReading();
  }

  pause(): void {
    // Nobody may pause what is being thrown away.
    if (this.#isPaused || this.isDone || this.#isDiscarded) return;
    this.#isPaused = true;
    this.#pace.rest();
    this.#waitNoMore();
    this.#connection.pauseReading();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#beginToWait();
    this.#connection.resumeReading();
  }

  discard(): void {
    if (this.#isDiscarded) return;
    this.#isDiscarded = true;
    this.#sink = undefined;
    this.#isPaused = false;
    this.#held = [];
    this.#heldBytes = 0;
    if (this.isDone) return;
    if (this.isBeyondReuse) this.#connection.closeAfter();
    this.#connection.resumeReading();
  }

  /** Says that somebody waits for more of it. */
  get isBeingRead(): boolean {
    return !this.isDone && this.#sink !== undefined;
  }

  /** Says that what is read of it now would have to be held. */
  get isHolding(): boolean {
    return !this.isDone && (this.#isPaused || this.#heldBytes > MAX_HELD_BYTES);
  }

  /** Says that the connection cannot be used again after an answer that does not wait for the rest of this body. */
  get isBeyondReuse(): boolean {
    if (this.isDone) return false;
    // Without leave nobody knows whether the client will send it.
    const isWaiting = this.expectsContinue && !this.#hasContinued;
    return isWaiting || this.#error !== undefined || this.#left > MAX_DISCARD_BYTES;
  }

  /**
   * Takes what the socket gave; gives where in it the body ends, or -1 while it goes on.
   * @throws MalformedMessage on chunks that are none.
   */
  take(bytes: Buffer): number {
    let end: number;
    if (this.#chunks) {
      const taken = this.#chunks.decode(bytes);
      end = this.#chunks.isDone ? taken : -1;
    } else {
      end = bytes.length >= this.#left ? this.#left : -1;
      const own = end === -1 || end === bytes.length ? bytes : bytes.subarray(0, end);
      this.#left -= own.length;
      this.#give(own);
    }
    if (end === -1) {
      if (this.#sink && !this.#isPaused) this.#beginToWait();
      return -1;
    }
    this.isDone = true;
    this.#waitNoMore();
    if (this.#isPaused) {
      // Nothing is left to hold back; the client must be seen when it leaves.
      this.#isPaused = false;
      this.#connection.resumeReading();
    }
    if (this.#sink && this.#held.length === 0) this.#end();
    return end;
  }

  /** Ends early: the client broke off, or sent what is no body. */
  fail(error: Error): void {
    if (this.isDone || this.#error) return;
    this.#error = error;
    this.#waitNoMore();
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.fail(error);
  }

  expire(): void {
    this.fail(new GatewayError('REQUEST_TIMEOUT', 'the request body took too long to arrive'));
  }

  /** Says that more came after the answer than is worth reading. */
  get isDiscardedTooLong(): boolean {
    return this.#discarded > MAX_DISCARD_BYTES;
  }

  #give(lent: Buffer): void {
    if (this.#isDiscarded) {
      this.#discarded += lent.length;
      return;
    }
    const bytes = Buffer.from(lent);
    if (this.#sink) this.#pass(bytes);
    else {
      this.#held.push(bytes);
      this.#heldBytes += bytes.length;
      // Within bounds the connection is read on: else it would not be seen when the client leaves.
      if (this.#heldBytes > MAX_HELD_BYTES) this.#connection.pauseReading();
    }
  }

  #pass(bytes: Buffer): void {
    this.bytesRead += bytes.length;
    if (this.#sink && !this.#sink.write(bytes)) this.pause();
  }

  #end(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end(this.#chunks?.trailers);
  }

  #waitNoMore(): void {
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#connection.watch();
  }

  #beginToWait(): void {
    this.deadlineMs = this.#pace.wait(this.bytesRead);
    this.#connection.watch();
  }
}
