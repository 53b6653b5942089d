// Hands the body of an answer to its stream in pieces, each when those before it were taken.
// Must not decide how long a client may take for one.
import type { ServerHttp2Stream } from 'node:http2';

/** Most that is handed over whole: what comes of a target in one read. In pieces, large downloads take twice as long. */
const WHOLE_BYTES = 64 * 1024;
/**
 * Most of anything larger that is handed over at a time: one DATA frame. node:http2 counts what it holds toward the memory
 * that a session may take, and resets streams beyond it. What a client takes of a piece nobody sees: that of a slow one
 * must not look like nothing for long.
 */
const PIECE_BYTES = 16 * 1024;

/** Writes to one stream. */
export class PieceWriter {
  readonly #stream: ServerHttp2Stream;
  /** What was not handed over yet; undefined = nothing ever waited. */
  #waiting: Uint8Array[] | undefined;
  #isEnding = false;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  /** Gives false when the stream's `drain` should be waited for: `goOn` then. */
  write(chunk: Uint8Array): boolean {
    const isFirst = this.#waiting === undefined || this.#waiting.length === 0;
    if (isFirst && chunk.length <= WHOLE_BYTES) return this.#stream.write(chunk);
    this.#waiting ??= [];
    this.#waiting.push(chunk);
    return isFirst ? this.goOn() : false;
  }

  /** Ends the stream with `chunk`, behind what waits; gives false as `write`. The end goes with the last piece. */
  end(chunk?: Uint8Array): boolean {
    if (this.#isEnding) return true;
    this.#isEnding = true;
    if (this.#waiting?.length) {
      if (chunk) this.#waiting.push(chunk);
      return false;
    }
    if (!chunk) this.#stream.end();
    else if (chunk.length <= WHOLE_BYTES) this.#stream.end(chunk);
    else return this.write(chunk);
    return true;
  }

  /** Hands over what the stream takes; gives false as `write`. */
  goOn(): boolean {
    const stream = this.#stream;
    const waiting = this.#waiting ?? [];
    for (let chunk = waiting[0]; chunk; chunk = waiting[0]) {
      const piece = chunk.subarray(0, PIECE_BYTES);
      if (piece.length < chunk.length) waiting[0] = chunk.subarray(PIECE_BYTES);
      else waiting.shift();
      if (this.#isEnding && waiting.length === 0) stream.end(piece);
      else if (!stream.write(piece)) return false;
    }
    return true;
  }
}
