// One request and its response as a stream of a session.
// Must not let a response that broke off look whole: it is reset.
import { constants, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { GatewayError } from '../../core/errors.ts';
import type { OutgoingResponse, Tunnel } from '../../core/ports.ts';
import type { Deadlines, Timed } from '../message/deadlines.ts';
import { addFields, fitsSection, newFields } from './fields.ts';
import { PieceWriter } from './piece-writer.ts';
import type { StreamBody } from './stream-body.ts';
import type { TrafficWatch } from './traffic-watch.ts';

/** Longest that a client may leave a piece of what it is sent lying before the rest is given up. */
const STALLED_READER_MS = 60_000;
/** How long a body that nobody reads any more may go on after its answer, before the stream is reset. */
const LINGER_MS = 200;

/** Resets a stream with INTERNAL_ERROR; nobody sees the text. */
const BROKEN_OFF = new Error('the response broke off');

/** Says how a stream ended: its response was sent to the end, the client or its faults broke it off, or we did. */
export type StreamEnding = 'whole' | 'reset' | 'aborted';

/** Is what a stream needs of its session. */
export interface StreamOwner {
  readonly deadlines: Deadlines;
  readonly traffic: TrafficWatch;
  /** The stream is over. */
  left(ending: StreamEnding): void;
}

/** Is what a response must know of its request. */
export interface ResponseFacts {
  readonly method: string;
  readonly acceptsTrailers: boolean;
  readonly body: StreamBody | undefined;
}

/** Is the response on a stream. */
export class ServerStream implements OutgoingResponse, Timed {
  deadlineMs: number = Number.POSITIVE_INFINITY;
  slot = -1;
  readonly #stream: ServerHttp2Stream;
  readonly #owner: StreamOwner;
  readonly #facts: ResponseFacts;
  readonly #pieces: PieceWriter;
  /** The head, until it is known whether anything follows it. */
  #fields: OutgoingHttpHeaders | undefined;
  #trailers: readonly string[] | undefined;
  /** Body bytes still to come, where the length is known. */
  #left: number | undefined;
  #hasBody = true;
  #hasEnded = false;
  #isAborted = false;
  #isStalled = false;
  #stalledMs = 0;
  #whenClosed: ((isComplete: boolean) => void) | undefined;
  #whenDrained: (() => void) | undefined;

  constructor(stream: ServerHttp2Stream, owner: StreamOwner, facts: ResponseFacts) {
    this.#stream = stream;
    this.#owner = owner;
    this.#facts = facts;
    this.#pieces = new PieceWriter(stream);
    stream.on('close', () => this.#closed());
  }

  writeInformational(status: number, headers: readonly string[]): void {
    const stream = this.#stream;
    // A client that does not read would make us keep them all.
    if (this.#fields || stream.headersSent || stream.closed || stream.writableNeedDrain) return;
    if (!fitsSection(headers)) return;
    const fields = newFields();
    fields[':status'] = status;
    stream.additionalHeaders(addFields(fields, headers));
  }

  writeHead(status: number, headers: readonly string[], bodyLength: number | undefined): void {
    // node:http2 throws on it, and no client could make anything of it.
    if (status > 599) throw new GatewayError('UPSTREAM_INVALID_RESPONSE', 'expected a status of at most 599');
    if (!fitsSection(headers)) throw new GatewayError('UPSTREAM_INVALID_RESPONSE', 'expected a head of at most 64 KiB');
    const fields = newFields();
    fields[':status'] = status;
    addFields(fields, headers);
    const isEmpty = status === 204 || status === 205 || status === 304;
    this.#hasBody = !isEmpty && this.#facts.method !== 'HEAD';
    if (bodyLength !== undefined && !isEmpty) fields['content-length'] = bodyLength;
    this.#left = bodyLength;
    this.#fields = fields;
    // A head whose body has not come by the end of this turn must not wait for it. Until then its end may come along, as
    // with gRPC's answers that are trailers only.
    if (bodyLength !== 0) process.nextTick(flushHead, this);
  }

  write(chunk: Uint8Array): boolean {
    const stream = this.#stream;
    if (!this.#hasBody || chunk.length === 0 || this.#hasEnded) return true;
    this.flushHead();
    if (stream.closed || stream.destroyed || !stream.writable) return true;
    if (this.#left !== undefined) this.#left -= chunk.length;
    this.#owner.traffic.countSent(chunk.length);
    const isLast = this.#left !== undefined && this.#left <= 0 && !this.#facts.acceptsTrailers;
    const kept = Buffer.from(chunk);
    const mayGoOn = isLast ? this.#pieces.end(kept) : this.#pieces.write(kept);
    if (!mayGoOn) this.#stall();
    // Whoever sends has done so: it need not wait for the client.
    return mayGoOn || isLast;
  }

  end(trailers?: readonly string[]): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#trailers = trailers;
    if (this.#fields) {
      const hasTrailers = trailers !== undefined && trailers.length > 0 && this.#facts.acceptsTrailers;
      this.#respond(!hasTrailers || !this.#hasBody);
    }
    const stream = this.#stream;
    if (!stream.closed && !stream.destroyed && !stream.writableEnded) this.#pieces.end();
    if (this.#facts.body?.isDone === false) this.#facts.body.discard();
    this.#stalledMs = performance.now() + STALLED_READER_MS;
    this.#watch(this.#facts.body ? LINGER_MS : STALLED_READER_MS);
  }

  switchProtocols(): Tunnel {
    throw new Error('HTTP/2 does not switch protocols');
  }

  abort(): void {
    this.#fields = undefined;
    this.#isAborted = true;
    // Not `close`: that ends the writable side first, and the client would get END_STREAM before the reset.
    this.#stream.destroy(BROKEN_OFF);
  }

  // The other streams of the connection are not done with it.
  closeAfter(): void {}

  onDrain(callback: () => void): void {
    this.#whenDrained = callback;
  }

  onClose(callback: (isComplete: boolean) => void): void {
    this.#whenClosed = callback;
  }

  expire(): void {
    const nowMs = performance.now();
    if (nowMs >= this.#stalledMs) {
      this.abort();
      return;
    }
    this.deadlineMs = this.#hasEnded && this.#facts.body ? nowMs + LINGER_MS : this.#stalledMs;
    // The answer is out whole, and the client still sends: RFC 9113 section 8.1 has it told that it need not.
    if (this.#hasEnded && this.#stream.state.localClose === 1) this.#stream.close();
  }

  /** Sends the head alone, unless it has gone. */
  flushHead(): void {
    if (this.#fields) this.#respond(false);
  }

  #respond(endStream: boolean): void {
    const stream = this.#stream;
    const fields = this.#fields;
    this.#fields = undefined;
    if (!fields || stream.closed || stream.destroyed) return;
    const waitForTrailers = !endStream && this.#hasBody && this.#facts.acceptsTrailers;
    if (waitForTrailers) stream.once('wantTrailers', () => this.#sendTrailers());
    try {
      stream.respond(fields, { endStream: endStream || !this.#hasBody, waitForTrailers });
    } catch {
      // What node:http2 does not send, nobody may take for an answer.
      this.abort();
    }
  }

  #sendTrailers(): void {
    if (this.#stream.closed || this.#stream.destroyed) return;
    this.#stream.sendTrailers(addFields(newFields(), this.#trailers ?? []));
  }

  #stall(): void {
    if (this.#stalledMs === 0) this.#stream.on('drain', () => this.#drained());
    this.#isStalled = true;
    this.#stalledMs = performance.now() + STALLED_READER_MS;
    this.#watch(STALLED_READER_MS);
  }

  #drained(): void {
    const stream = this.#stream;
    if (!this.#isStalled || stream.closed || stream.destroyed) return;
    // A piece was taken: the next has as long again.
    this.#stalledMs = performance.now() + STALLED_READER_MS;
    if (!this.#pieces.goOn()) return;
    this.#isStalled = false;
    if (this.#hasEnded) return;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    const callback = this.#whenDrained;
    this.#whenDrained = undefined;
    callback?.();
  }

  #watch(ms: number): void {
    this.deadlineMs = performance.now() + ms;
    if (this.slot === -1) this.#owner.deadlines.watch(this);
  }

  #closed(): void {
    if (this.slot !== -1) this.#owner.deadlines.forget(this);
    const { writableEnded, rstCode } = this.#stream;
    // What still waits for the client when it resets the stream without an error was never sent.
    const isWhole = this.#hasEnded && writableEnded && rstCode === constants.NGHTTP2_NO_ERROR;
    this.#fields = undefined;
    this.#facts.body?.fail(new Error('the client broke off'));
    this.#owner.left(isWhole ? 'whole' : this.#isAborted ? 'aborted' : 'reset');
    const callback = this.#whenClosed;
    this.#whenClosed = undefined;
    callback?.(isWhole);
  }
}

// One function for all: a closure per response would cost on every request.
function flushHead(stream: ServerStream): void {
  stream.flushHead();
}
