// A request body on its way over a stream, and over another one when the target did not look at the first.
// Must not hold more of it than a small bound.
import type { ClientHttp2Stream, ClientSessionRequestOptions, OutgoingHttpHeaders } from 'node:http2';
import type { BodySink, BodySource, UpstreamRequest } from '../../../core/ports.ts';
import { addFields, newFields } from '../../h2/fields.ts';

/** Most bytes of a body that are held until the head of the response comes: calls fit, uploads do not. */
const MAX_REPLAY_BYTES = 64 * 1024;
/** Bytes of a whole body that are handed over at a time: node:http2 says nothing while it sends them. */
const SLICE_BYTES = 64 * 1024;
/** How long a target may think about an expectation before the body is sent all the same. RFC 9110 section 10.1.1. */
const CONTINUE_MS = 1_000;

// A method that expects content says that there is none; RFC 9110 section 8.6.
const EXPECTS_CONTENT = new Set(['POST', 'PUT', 'PATCH']);

/** Hears how the sending went. */
export interface SendEvents {
  /** Says whose turn it is: the client's to send more of the body, or the target's to read what is sent. */
  onProgress(isClientsTurn: boolean): void;
  /** The body is sent. */
  onSent(): void;
  /** The body broke off, or was not as long as it said. */
  onBodyFailed(error: Error): void;
}

/** Sends a body, whole or as it comes. */
export class RequestSending implements BodySink {
  isSent = false;
  readonly streamOptions: ClientSessionRequestOptions;
  readonly #body: Uint8Array | BodySource | undefined;
  readonly #events: SendEvents;
  /** Bytes by Content-Length; undefined = none is told. */
  readonly #length: number | undefined;
  #stream: ClientHttp2Stream | undefined;
  /** The stream whose `drain` is heard. */
  #listensTo: ClientHttp2Stream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasBegun = false;
  #isStopped = false;
  #sent = 0;
  /** What was sent; undefined = too much to hold, or needed no more. */
  #replay: Uint8Array[] | undefined = [];
  #trailers: readonly string[] | undefined;

  constructor(request: UpstreamRequest, events: SendEvents) {
    const { body, method } = request;
    this.#body = body;
    this.#events = events;
    this.#length = body === undefined && EXPECTS_CONTENT.has(method) ? 0 : body?.length;
    // Trailers must be announced to node:http2 before the body; a call of gRPC has none, and its last frame is spared.
    const waitForTrailers = body !== undefined && this.#length === undefined && !isGrpc(request.headers);
    this.streamOptions = { endStream: body === undefined, waitForTrailers };
  }

  /** Adds to a head what says how its body comes. */
  addFraming(fields: OutgoingHttpHeaders): OutgoingHttpHeaders {
    if (this.#length !== undefined) fields['content-length'] = this.#length;
    const source = this.#body instanceof Uint8Array ? undefined : this.#body;
    if (source?.expectsContinue && !this.#hasBegun) fields['expect'] = '100-continue';
    return fields;
  }

  /** Begins, or begins again. */
  start(stream: ClientHttp2Stream): void {
    this.#stream = stream;
    const body = this.#body;
    if (body === undefined) this.#finish();
    else if (body instanceof Uint8Array) this.#sendWhole(stream, body);
    else {
      if (this.streamOptions.waitForTrailers) stream.on('wantTrailers', () => this.#sendTrailers(stream));
      if (this.#hasBegun) this.#sendAgain(stream, body);
      else if (!body.expectsContinue) this.#begin(body);
      else {
        this.#timer = setTimeout(() => this.proceed(), CONTINUE_MS);
        this.#timer.unref();
      }
    }
  }

  /** The target gave leave to send the body. */
  proceed(): void {
    if (this.#hasBegun || this.#isStopped || this.#body === undefined || this.#body instanceof Uint8Array) return;
    this.#begin(this.#body);
  }

  /** Says whether the request can be sent from the start, and stops sending until it is. */
  rewind(): boolean {
    const isWhole = this.#body === undefined || this.#body instanceof Uint8Array;
    if (!isWhole && this.#hasBegun && this.#replay === undefined) return false;
    clearTimeout(this.#timer);
    this.#stream = undefined;
    return true;
  }

  /** The response has begun: nothing will be sent again. */
  forget(): void {
    this.#replay = undefined;
  }

  stop(): void {
    this.#isStopped = true;
    this.#replay = undefined;
    clearTimeout(this.#timer);
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isStopped || chunk.length === 0) return true;
    this.#sent += chunk.length;
    const stream = this.#stream;
    if (stream && this.#sent > MAX_REPLAY_BYTES) this.#replay = undefined;
    this.#replay?.push(chunk);
    // Between two connections; what is held goes over the next one.
    if (!stream) return false;
    if (!stream.writable) return true;
    const mayGoOn = stream.write(chunk);
    // Calls are small, and listening costs each of them.
    if (!mayGoOn && this.#listensTo !== stream) {
      this.#listensTo = stream;
      stream.on('drain', () => this.#drained(stream));
    }
    this.#events.onProgress(mayGoOn);
    return mayGoOn;
  }

  end(trailers?: readonly string[]): void {
    if (this.#isStopped) return;
    // Fewer bytes than announced would leave the target waiting.
    if (this.#length !== undefined && this.#sent !== this.#length) {
      this.#events.onBodyFailed(new Error('the body is not as long as it said'));
      return;
    }
    this.#trailers = trailers;
    this.#stream?.end();
    this.#finish();
  }

  fail(error: Error): void {
    if (!this.#isStopped) this.#events.onBodyFailed(error);
  }

  #begin(body: BodySource): void {
    clearTimeout(this.#timer);
    this.#hasBegun = true;
    this.#events.onProgress(true);
    body.start(this);
  }

  #sendAgain(stream: ClientHttp2Stream, body: BodySource): void {
    for (const chunk of this.#replay ?? []) stream.write(chunk);
    if (this.isSent) {
      stream.end();
      this.#events.onSent();
    } else {
      this.#events.onProgress(true);
      body.resume();
    }
  }

  /** Sends what is at hand; a large body goes by slices, so that a target is known to take it. */
  #sendWhole(stream: ClientHttp2Stream, rest: Uint8Array): void {
    if (rest.length <= SLICE_BYTES) {
      stream.end(rest);
      this.#finish();
      return;
    }
    this.isSent = false;
    stream.write(rest.subarray(0, SLICE_BYTES), () => {
      if (this.#stream !== stream || this.#isStopped || !stream.writable) return;
      this.#events.onProgress(false);
      this.#sendWhole(stream, rest.subarray(SLICE_BYTES));
    });
  }

  #drained(stream: ClientHttp2Stream): void {
    if (this.#stream !== stream || this.#isStopped || this.isSent) return;
    this.#events.onProgress(true);
    if (this.#body && !(this.#body instanceof Uint8Array)) this.#body.resume();
  }

  #sendTrailers(stream: ClientHttp2Stream): void {
    if (!stream.destroyed && !stream.closed) stream.sendTrailers(addFields(newFields(), this.#trailers ?? []));
  }

  #finish(): void {
    this.isSent = true;
    this.#events.onSent();
  }
}

function isGrpc(headers: readonly string[]): boolean {
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (name.length === 12 && name.toLowerCase() === 'content-type') {
      return (headers[at + 1] ?? '').toLowerCase().startsWith('application/grpc');
    }
  }
  return false;
}
