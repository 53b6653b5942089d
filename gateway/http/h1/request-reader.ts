// Finds the heads of requests in the bytes of a connection, and reads them.
// Must not read bodies.
import { HeadBuffer } from '../message/head-buffer.ts';
import { MalformedMessage } from '../message/malformed.ts';
import { type RequestHead, readRequestHead } from './request-head.ts';

/** Largest request head. */
const MAX_HEAD_BYTES = 32 * 1024;
const LF = 0x0a;
const CR = 0x0d;

/** Reads one request head after another. */
export class RequestReader {
  /** Set when `take` found the end of a head. */
  head: RequestHead | undefined;
  readonly #buffer = new HeadBuffer(MAX_HEAD_BYTES);
  /** How much came of the one empty line that may stand before a request: the CR, or all of it. */
  #emptyLine: 'none' | 'cr' | 'whole' = 'none';

  /** Says whether nothing of a head has come. */
  get isEmpty(): boolean {
    return this.#buffer.isEmpty;
  }

  /**
   * Takes a piece. Gives how many of its bytes it used up when `head` is there, else -1.
   * @throws as `HeadBuffer.take` and `readRequestHead`.
   */
  take(piece: Buffer): number {
    const skipped = piece[0] === CR || this.#emptyLine === 'cr' ? this.#skipEmptyLine(piece) : 0;
    const rest = skipped === 0 ? piece : piece.subarray(skipped);
    if (rest.length === 0) return -1;
    const end = this.#buffer.take(rest);
    if (end === -1) return -1;
    this.#emptyLine = 'none';
    this.head = readRequestHead(this.#buffer);
    this.#buffer.forget();
    return skipped + end;
  }

  /** One empty line before a request is read over, however it is cut. @see RFC 9112 section 2.2 */
  #skipEmptyLine(piece: Buffer): number {
    if (!this.#buffer.isEmpty || this.#emptyLine === 'whole') return 0;
    const at = this.#emptyLine === 'cr' ? 0 : 1;
    if (piece.length === at) {
      this.#emptyLine = 'cr';
      return at;
    }
    if (piece[at] !== LF) throw new MalformedMessage('a bare CR before the request line');
    this.#emptyLine = 'whole';
    return at + 1;
  }
}
