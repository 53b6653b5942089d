// Reads responses from the bytes of a connection, one after another.
// Must not touch the socket: it is handed bytes and says what they mean.
import { ChunkedDecoder } from '../message/chunked-decoder.ts';
import { HeadBuffer } from '../message/head-buffer.ts';
import { MalformedMessage } from '../message/malformed.ts';
import { type ResponseHead, readResponseHead } from './head-parser.ts';

/** Largest response head, 1xx ones included each. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Most 1xx responses before the final one. */
const MAX_INFORMATIONAL = 1024;
const NOTHING: Buffer = Buffer.alloc(0);

/** Hears what was read. */
export interface ResponseEvents {
  /** A 1xx response; 101 only when `isUpgrade`, and then it is the last event. */
  onInformational(head: ResponseHead): void;
  onHead(head: ResponseHead): void;
  onBody(bytes: Buffer): void;
  onEnd(trailers: readonly string[] | undefined): void;
}

/** Reads the response to one request. */
export class ResponseReader {
  readonly #method: string;
  readonly #isUpgrade: boolean;
  readonly #events: ResponseEvents;
  #buffer: HeadBuffer | undefined;
  #head: ResponseHead | undefined;
  #informational = 0;
  #left = 0;
  #chunks: ChunkedDecoder | undefined;
  #isDone = false;

  constructor(method: string, isUpgrade: boolean, events: ResponseEvents) {
    this.#method = method;
    this.#isUpgrade = isUpgrade;
    this.#events = events;
  }

  /** Says whether any byte of a response has come. */
  get hasBegun(): boolean {
    return this.#head !== undefined || this.#informational > 0 || this.#buffer?.isEmpty === false;
  }

  /**
   * Reads a piece; gives what is left of it behind the end of the response (undefined = the response goes on).
   * @throws MalformedMessage as its parts do.
   */
  read(piece: Buffer): Buffer | undefined {
    let rest: Buffer | undefined = piece;
    while (rest && !this.#head) rest = this.#readHead(rest);
    if (!rest || this.#isDone) return rest;
    if (this.#chunks) return this.#readChunks(this.#chunks, rest);
    if (this.#head?.framing.kind === 'length') return this.#readLength(rest);
    if (rest.length > 0) this.#events.onBody(rest);
    return undefined;
  }

  /** Takes the end of the connection; gives true when it is the end of the response. */
  endByClose(): boolean {
    if (this.#isDone || this.#head?.framing.kind !== 'until-close') return false;
    this.#finish(undefined);
    return true;
  }

  /** Gives what is left behind the head, or undefined when the head is not whole yet. */
  #readHead(piece: Buffer): Buffer | undefined {
    this.#buffer ??= new HeadBuffer(MAX_HEAD_BYTES);
    const end = this.#buffer.take(piece);
    if (end === -1) return undefined;
    const head = readResponseHead(this.#buffer, this.#method);
    this.#buffer.forget();
    const rest = piece.subarray(end);
    if (head.status >= 200) {
      this.#begin(head);
      return rest;
    }
    if (++this.#informational > MAX_INFORMATIONAL) throw new MalformedMessage('too many 1xx responses');
    if (head.status === 101) {
      if (!this.#isUpgrade) throw new MalformedMessage('an upgrade that was not asked for');
      this.#isDone = true;
      this.#head = head;
    }
    this.#events.onInformational(head);
    return this.#isDone || rest.length > 0 ? rest : undefined;
  }

  #begin(head: ResponseHead): void {
    this.#head = head;
    const { framing } = head;
    if (framing.kind === 'length') this.#left = framing.length;
    if (framing.kind === 'chunked') this.#chunks = new ChunkedDecoder((bytes) => this.#events.onBody(bytes));
    this.#events.onHead(head);
    if (framing.kind === 'none') this.#finish(undefined);
  }

  #readLength(piece: Buffer): Buffer | undefined {
    if (piece.length === 0) return undefined;
    const own = piece.length > this.#left ? piece.subarray(0, this.#left) : piece;
    this.#left -= own.length;
    this.#events.onBody(own);
    if (this.#left > 0) return undefined;
    this.#finish(undefined);
    return own === piece ? NOTHING : piece.subarray(own.length);
  }

  #readChunks(chunks: ChunkedDecoder, piece: Buffer): Buffer | undefined {
    const taken = chunks.decode(piece);
    if (!chunks.isDone) return undefined;
    this.#finish(chunks.trailers);
    return piece.subarray(taken);
  }

  #finish(trailers: readonly string[] | undefined): void {
    this.#isDone = true;
    this.#events.onEnd(trailers);
  }
}
