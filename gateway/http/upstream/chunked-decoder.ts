// Decodes a chunked body, in whatever pieces it arrives.
// Must not hand on framing: extensions and trailers end here.
import { InvalidResponse } from './head-parser.ts';

/** Most bytes of chunk extensions, and of trailers, that are read over. */
const MAX_OVERHEAD_BYTES = 16 * 1024;
const CR = 0x0d;
const LF = 0x0a;

/** Takes the decoded bytes. */
export type ChunkConsumer = (bytes: Buffer) => void;

type State = 'size' | 'extension' | 'size-lf' | 'data' | 'data-cr' | 'data-lf' | 'trailer' | 'trailer-lf' | 'done';

/** Decodes one chunked body. @see RFC 9112 section 7.1 */
export class ChunkedDecoder {
  readonly #consume: ChunkConsumer;
  #state: State = 'size';
  #size = 0;
  #digits = 0;
  #overhead = 0;
  /** Bytes on the trailer line so far; an empty line ends the body. */
  #lineBytes = 0;

  constructor(consume: ChunkConsumer) {
    this.#consume = consume;
  }

  /** Says whether the last chunk and the trailers have come. */
  get isDone(): boolean {
    return this.#state === 'done';
  }

  /**
   * Decodes a piece and gives how many of its bytes belong to the body.
   * @throws InvalidResponse on any breach of the grammar.
   */
  decode(piece: Buffer): number {
    let at = 0;
    while (at < piece.length && this.#state !== 'done') {
      if (this.#state === 'data') at = this.#takeData(piece, at);
      else this.#takeByte(piece[at++] ?? 0);
    }
    return at;
  }

  #takeData(piece: Buffer, at: number): number {
    const end = Math.min(piece.length, at + this.#size);
    this.#size -= end - at;
    if (this.#size === 0) this.#state = 'data-cr';
    this.#consume(piece.subarray(at, end));
    return end;
  }

  #takeByte(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#takeSizeByte(byte);
        break;
      case 'extension':
        this.#countOverhead();
        if (byte === CR) this.#state = 'size-lf';
        else if (byte === LF) throw new InvalidResponse('a bare LF in a chunk extension');
        break;
      case 'size-lf':
        this.#expect(byte, LF);
        this.#state = this.#size === 0 ? 'trailer' : 'data';
        this.#digits = 0;
        break;
      case 'data-cr':
        this.#expect(byte, CR);
        this.#state = 'data-lf';
        break;
      case 'data-lf':
        this.#expect(byte, LF);
        this.#state = 'size';
        break;
      case 'trailer':
        this.#takeTrailerByte(byte);
        break;
      case 'trailer-lf':
        this.#expect(byte, LF);
        this.#state = this.#lineBytes === 0 ? 'done' : 'trailer';
        this.#lineBytes = 0;
        break;
      default:
        break;
    }
  }

  #takeSizeByte(byte: number): void {
    const digit = hexValue(byte);
    if (digit >= 0) {
      // 13 digits stay below 2^53; more could only be meant to overflow somebody.
      if (++this.#digits > 13) throw new InvalidResponse('a chunk size out of range');
      this.#size = this.#size * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw new InvalidResponse('a chunk without a size');
    if (byte === CR) this.#state = 'size-lf';
    else if (byte === 0x3b || byte === 0x20 || byte === 0x09) this.#state = 'extension';
    else throw new InvalidResponse('a malformed chunk size');
  }

  #takeTrailerByte(byte: number): void {
    this.#countOverhead();
    if (byte === CR) this.#state = 'trailer-lf';
    else if (byte === LF) throw new InvalidResponse('a bare LF in a trailer');
    else this.#lineBytes++;
  }

  #countOverhead(): void {
    if (++this.#overhead > MAX_OVERHEAD_BYTES) throw new InvalidResponse('too many chunk extensions or trailers');
  }

  #expect(byte: number, expected: number): void {
    if (byte !== expected) throw new InvalidResponse('a chunk that does not end where it says');
  }
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
