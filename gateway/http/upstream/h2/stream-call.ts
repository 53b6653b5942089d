// One try over HTTP/2: a request as a stream, and the response to it.
// Must not take a response that broke off for a whole one, nor try again what the target may have seen.
import { type ClientHttp2Stream, constants } from 'node:http2';
import { GatewayError } from '../../../core/errors.ts';
import type {
  TargetAddress,
  UpstreamCall,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from '../../../core/ports.ts';
import type { Deadlines, Timed } from '../../message/deadlines.ts';
import { isShortage } from '../shortage.ts';
import { buildFields, hasTooMany, withoutStatus } from './head-fields.ts';
import { RequestSending, type SendEvents } from './request-sending.ts';
import { isRefusal, type UpstreamSession } from './session.ts';
import type { Passenger, SessionPool } from './session-pool.ts';
import { ABORTED, hasEndStream, isCutShort, watchEnd } from './stream-ends.ts';

/** Most 1xx responses before the final one. */
const MAX_INFORMATIONAL = 1_024;

/** Is what a call is made of. */
export interface StreamCallOptions {
  readonly address: TargetAddress;
  readonly request: UpstreamRequest;
  readonly handler: UpstreamHandler;
  readonly deadlines: Deadlines;
  readonly pool: SessionPool;
}

/** Carries one request to its response. */
export class StreamCall implements UpstreamCall, Passenger, Timed, SendEvents {
  deadlineMs: number;
  slot = -1;
  isOver = false;
  wasRefused = false;
  readonly wantsFresh: boolean;
  readonly #options: StreamCallOptions;
  #session: UpstreamSession | undefined;
  #stream: ClientHttp2Stream | undefined;
  #sending: RequestSending | undefined;
  #hasHead = false;
  #isPaused = false;
  /** When a request that no target looked at has waited long enough for one that does. */
  #refusedUntilMs: number | undefined;
  /** A connection did not take it at all; two are not to blame for that. */
  #wasUnsendable = false;
  #isClientsTurn = false;
  #informational = 0;
  #trailers: readonly string[] | undefined;

  constructor(options: StreamCallOptions) {
    this.#options = options;
    this.wantsFresh = options.request.isRetry ?? false;
    // Waiting for a connection counts as connecting: to the client it is the same.
    this.deadlineMs = this.#within(options.address.connectMs);
    options.deadlines.watch(this);
  }

  begin(session: UpstreamSession): void {
    const { request, address } = this.#options;
    this.#session = session;
    session.enter();
    this.deadlineMs = this.#within(request.idleMs);
    const sending = this.#sending ?? new RequestSending(request, this);
    this.#sending = sending;
    let stream: ClientHttp2Stream;
    try {
      if (!session.http2) throw new Error('the connection is not open');
      const fields = buildFields(request, address.protocol);
      stream = session.http2.request(sending.addFraming(fields), sending.streamOptions);
    } catch (error) {
      // Nothing was sent: the connection has just closed, or has no numbers for streams left.
      const cause = error instanceof Error ? error : new Error(String(error));
      const isHopeless = this.#wasUnsendable;
      this.#wasUnsendable = true;
      session.refuse();
      // Not in this turn: the caller may not have the call yet.
      queueMicrotask(() => (isHopeless ? this.#fail('connect-failed', cause) : this.#goElsewhere(cause)));
      return;
    }
    this.#stream = stream;
    this.#listen(stream);
    sending.start(stream);
  }

  miss(error: Error): void {
    this.#fail(isShortage(error) ? 'overloaded' : 'connect-failed', error);
  }

  resume(): void {
    if (this.isOver || !this.#isPaused) return;
    this.#isPaused = false;
    this.deadlineMs = this.#within(this.#options.request.idleMs);
    const stream = this.#stream;
    if (stream && isCutShort(stream)) this.#drain(stream);
    else stream?.resume();
  }

  abort(): void {
    if (this.isOver) return;
    this.#finish();
  }

  /** Ends the call before it had a connection: too many wait for one. */
  refuse(): void {
    this.#fail('overloaded', new Error('too many requests wait for a connection'));
  }

  onProgress(isClientsTurn: boolean): void {
    this.#isClientsTurn = isClientsTurn;
    if (!this.isOver && !this.#isPaused) this.deadlineMs = this.#within(this.#options.request.idleMs);
  }

  onSent(): void {
    this.#isClientsTurn = false;
    if (!this.#hasHead && !this.isOver) this.deadlineMs = this.#within(this.#options.request.responseMs);
  }

  onBodyFailed(error: Error): void {
    this.#fail('request-aborted', error);
  }

  expire(): void {
    const { request } = this.#options;
    const cause = new Error('the time is over');
    if (performance.now() >= (request.deadlineMs ?? Number.POSITIVE_INFINITY)) this.#fail('deadline-exceeded', cause);
    else if (!this.#stream && this.#options.pool.isCrowded) {
      this.#fail(this.wasRefused ? 'refused' : 'overloaded', new Error('no stream was free in time'));
    } else if (!this.#stream) this.#fail('connect-timeout', cause);
    else if (this.#isClientsTurn) {
      // Both sides are silent, and the client could speak: the target is not to blame.
      this.#fail('request-aborted', new GatewayError('REQUEST_TIMEOUT', 'the request body took too long to arrive'));
    } else {
      this.#session?.suspect();
      this.#fail(this.#hasHead || !this.#sending?.isSent ? 'idle-timeout' : 'response-timeout', cause);
    }
  }

  #listen(stream: ClientHttp2Stream): void {
    watchEnd(stream);
    stream.on('headers', (fields, _flags, raw?: readonly string[]) => {
      if (this.#stream === stream) this.#takeInformational(fields[':status'] ?? 0, withoutStatus(raw));
    });
    stream.on('response', (fields, flags, raw?: readonly string[]) => {
      if (this.#stream === stream) this.#takeHead(fields[':status'] ?? 0, flags, withoutStatus(raw));
    });
    stream.on('trailers', (_fields, _flags, raw?: readonly string[]) => {
      this.#takeTrailers(raw);
    });
    stream.on('close', () => {
      if (this.#stream === stream) this.#closed(stream);
    });
  }

  #takeInformational(status: number, raw: readonly string[]): void {
    if (this.isOver || this.#hasHead) return;
    if (status === 101 || ++this.#informational > MAX_INFORMATIONAL || hasTooMany(raw)) {
      this.#fail('invalid-response', new Error('a 1xx response that is none, or too many'));
    } else if (status === 100) this.#sending?.proceed();
    else this.#options.handler.onInformational(status, raw);
  }

  #takeHead(status: number, flags: number, raw: readonly string[]): void {
    const stream = this.#stream;
    if (this.isOver || !stream) return;
    if (status < 200 || status > 599 || hasTooMany(raw)) {
      this.#fail('invalid-response', new Error('no status of a final response, or too many lines'));
      return;
    }
    this.#hasHead = true;
    this.#sending?.forget();
    const { handler, request } = this.#options;
    this.deadlineMs = this.#within(request.idleMs);
    handler.onHead(status, raw);
    if ((flags & 1) !== 0) {
      this.#complete();
      return;
    }
    if (this.isOver) return;
    // Not before: bytes that come with the head would be heard before it.
    stream.on('data', (chunk: Buffer) => this.#takeChunk(chunk));
    stream.on('end', () => {
      if (hasEndStream(stream)) this.#complete();
    });
  }

  #takeChunk(chunk: Buffer): void {
    if (this.isOver) return;
    const { handler, request } = this.#options;
    this.deadlineMs = this.#within(request.idleMs);
    if (handler.onChunk(chunk) || this.isOver || this.#isPaused) return;
    this.#isPaused = true;
    // Whoever does not read must not blame the target for the silence.
    this.deadlineMs = this.#within(Number.POSITIVE_INFINITY);
    this.#stream?.pause();
  }

  #takeTrailers(raw: readonly string[] = []): void {
    if (hasTooMany(raw)) this.#fail('broken-response', new Error('too many trailers'));
    else this.#trailers = raw;
  }

  /** Reads what node:http2 would throw away: the response was whole when its stream was reset. */
  #drain(stream: ClientHttp2Stream): void {
    while (!this.isOver && !this.#isPaused) {
      const chunk: Buffer | null = stream.read();
      if (chunk === null) {
        this.#complete();
        return;
      }
      this.#takeChunk(chunk);
    }
  }

  #complete(): void {
    if (this.isOver) return;
    this.#session?.answered();
    this.#finish();
    this.#options.handler.onEnd(this.#trailers);
  }

  /** The stream is gone, and the response was not whole. */
  #closed(stream: ClientHttp2Stream): void {
    if (this.isOver) return;
    if (this.#hasHead && isCutShort(stream)) {
      if (!this.#isPaused) this.#drain(stream);
      return;
    }
    const cause = new Error(`the stream was closed with code ${stream.rstCode}`);
    if (this.#hasHead) {
      this.#fail('broken-response', cause);
      return;
    }
    const session = this.#session;
    const { id } = stream;
    const isUnseen = id === undefined || isRefusal(stream.rstCode) || (session && id > session.lastStreamId);
    if (isUnseen && this.#informational === 0) {
      session?.refuse();
      this.#goElsewhere(cause);
      // By nghttp2 on our side, which refuses so what is no response, RFC 9113 section 8.1.1; seldom by a target.
    } else if (stream.rstCode === constants.NGHTTP2_PROTOCOL_ERROR) this.#fail('invalid-response', cause);
    else this.#fail('reset-before-response', cause);
  }

  /** The target did not look at the request (RFC 9113 section 8.7): it waits for room again, as long as for a connection. */
  #goElsewhere(cause: Error): void {
    if (this.isOver) return;
    const { pool, address } = this.#options;
    this.#refusedUntilMs ??= this.#within(address.connectMs);
    const isLate = performance.now() >= this.#refusedUntilMs;
    // A target that lives and has nothing else to do for us does not wait for our streams to end.
    const isRefusedAlone = this.wasRefused && this.#session?.isTaking && pool.active === 1;
    this.wasRefused = true;
    if (isLate || isRefusedAlone || !this.#sending?.rewind()) {
      // A target that goes away is not there; one that lives and refuses has too much to do, and is not to blame.
      this.#fail(this.#session?.isTaking ? 'refused' : 'connect-failed', cause);
      return;
    }
    this.#leave();
    this.deadlineMs = this.#refusedUntilMs;
    if (!pool.board(this)) this.refuse();
  }

  /** Gives the deadline that is so far away, or that of the whole try when it comes first. */
  #within(ms: number): number {
    const deadlineMs = performance.now() + ms;
    const last = this.#options.request.deadlineMs;
    return last !== undefined && last < deadlineMs ? last : deadlineMs;
  }

  #fail(failure: UpstreamFailure, cause: Error): void {
    if (this.isOver) return;
    const session = this.#session;
    // A stream that the target reset on a connection that lives was not closed by chance.
    const wasReused = session !== undefined && session.served > 0 && session.http2?.destroyed === true;
    this.#finish();
    this.#options.handler.onError(failure, cause, wasReused);
  }

  #finish(): void {
    this.isOver = true;
    this.#options.deadlines.forget(this);
    this.#sending?.stop();
    const stream = this.#stream;
    // Not `close`: that ends the writable side first, and half a request would look whole.
    if (stream && !stream.destroyed && !(hasEndStream(stream) && this.#sending?.isSent)) stream.destroy(ABORTED);
    this.#leave();
  }

  #leave(): void {
    const session = this.#session;
    this.#session = undefined;
    this.#stream = undefined;
    session?.leave();
  }
}
