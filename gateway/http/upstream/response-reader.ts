// Reads responses from the bytes of a connection, one after another.
// Must not touch the socket: it is handed bytes and says what they mean.
import { ChunkedDecoder } from './chunked-decoder.ts';
import { InvalidResponse, type ResponseHead, readResponseHead } from './head-parser.ts';

/** Largest response head, 1xx ones included each. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Most 1xx responses before the final one. */
const MAX_INFORMATIONAL = 1024;
const HEAD_END = Buffer.from('\r\n\r\n', 'latin1');

/** Hears what was read. */
export interface ResponseEvents {
  onHead(head: ResponseHead): void;
  onBody(bytes: Buffer): void;
  onEnd(): void;
}

/** Reads the response to one request. */
export class ResponseReader {
  readonly #method: string;
  readonly #events: ResponseEvents;
  #partial: Buffer | undefined;
  #head: ResponseHead | undefined;
  #informational = 0;
  #left = 0;
  #chunks: ChunkedDecoder | undefined;
  #isDone = false;

  constructor(method: string, events: ResponseEvents) {
    this.#method = method;
    this.#events = events;
  }

  /** Says whether any byte of a response has come. */
  get hasBegun(): boolean {
    return this.#head !== undefined || this.#partial !== undefined || this.#informational > 0;
  }

  /**
   * Reads a piece; gives what is left of it behind the end of the response (undefined = the response goes on).
   * @throws InvalidResponse as its parts do.
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
    this.#finish();
    return true;
  }

  /** Gives what is left behind the head, or undefined when the head is not whole yet. */
  #readHead(piece: Buffer): Buffer | undefined {
    const bytes = this.#partial ? Buffer.concat([this.#partial, piece]) : piece;
    const end = bytes.indexOf(HEAD_END);
    if (end === -1 || end > MAX_HEAD_BYTES) {
      if (bytes.length > MAX_HEAD_BYTES) throw new InvalidResponse('the head is too large');
      this.#partial = bytes.length > 0 ? bytes : undefined;
      return undefined;
    }
    this.#partial = undefined;
    const head = readResponseHead(bytes.toString('latin1', 0, end), this.#method);
    const rest = bytes.subarray(end + 4);
    if (head.status < 200) {
      // 101 answers an upgrade that was never asked for.
      if (head.status === 101) throw new InvalidResponse('an upgrade that was not asked for');
      if (++this.#informational > MAX_INFORMATIONAL) throw new InvalidResponse('too many 1xx responses');
      return rest.length > 0 ? rest : undefined;
    }
    this.#begin(head);
    return rest;
  }

  #begin(head: ResponseHead): void {
    this.#head = head;
    const { framing } = head;
    if (framing.kind === 'length') this.#left = framing.length;
    if (framing.kind === 'chunked') this.#chunks = new ChunkedDecoder((bytes) => this.#events.onBody(bytes));
    this.#events.onHead(head);
    if (framing.kind === 'none') this.#finish();
  }

  #readLength(piece: Buffer): Buffer | undefined {
    if (piece.length === 0) return undefined;
    const own = piece.length > this.#left ? piece.subarray(0, this.#left) : piece;
    this.#left -= own.length;
    this.#events.onBody(own);
    if (this.#left > 0) return undefined;
    this.#finish();
    return piece.subarray(own.length);
  }

  #readChunks(chunks: ChunkedDecoder, piece: Buffer): Buffer | undefined {
    const taken = chunks.decode(piece);
    if (!chunks.isDone) return undefined;
    this.#finish();
    return piece.subarray(taken);
  }

  #finish(): void {
    this.#isDone = true;
    this.#events.onEnd();
  }
}
