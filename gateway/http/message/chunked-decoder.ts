// Decodes a chunked body, in whatever pieces it arrives.
// Must not hand on framing: extensions end here.
import { toByteText } from './byte-text.ts';
import { readFields } from './fields.ts';
import { MalformedMessage } from './malformed.ts';

/** Most bytes of chunk extensions and trailers together: they cost us more than the sender. CVE-2024-22019. */
const MAX_OVERHEAD_BYTES = 16 * 1024;
const MAX_TRAILER_LINES = 100;
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
  #trailerText = '';
  #trailers: string[] | undefined;

  constructor(consume: ChunkConsumer) {
    this.#consume = consume;
  }

  /** Says whether the last chunk and the trailers have come. */
  get isDone(): boolean {
    return this.#state === 'done';
  }

  /** Gives the trailers once it is done: name, value, name, value ...; undefined = none came. */
  get trailers(): readonly string[] | undefined {
    return this.#trailers;
  }

  /**
   * Decodes a piece and gives how many of its bytes belong to the body.
   * @throws MalformedMessage on any breach of the grammar.
   */
  decode(piece: Buffer): number {
    let at = 0;
    let first: Buffer | undefined;
    const more: Buffer[] = [];
    while (at < piece.length && this.#state !== 'done') {
      if (this.#state !== 'data') {
        this.#takeByte(piece[at++] ?? 0);
        continue;
      }
      const end = Math.min(piece.length, at + this.#size);
      this.#size -= end - at;
      if (this.#size === 0) this.#state = 'data-cr';
      if (first) more.push(piece.subarray(at, end));
      else first = piece.subarray(at, end);
      at = end;
    }
    // Once for a piece: whoever sends chunks of one byte must not make us write one by one.
    if (first) this.#consume(more.length === 0 ? first : Buffer.concat([first, ...more]));
    return at;
  }

  #takeByte(byte: number): void {
    switch (this.#state) {
      case 'size':
        this.#takeSizeByte(byte);
        break;
      case 'extension':
        this.#countOverhead();
        if (byte === CR) this.#state = 'size-lf';
        else if ((byte < 0x20 && byte !== 0x09) || byte === 0x7f) {
          throw new MalformedMessage('a control character in a chunk extension');
        }
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
        this.#endTrailerLine();
        break;
      default:
        break;
    }
  }

  #takeSizeByte(byte: number): void {
    const digit = hexValue(byte);
    if (digit >= 0) {
      // 13 digits stay below 2^53; more could only be meant to overflow somebody.
      if (++this.#digits > 13) throw new MalformedMessage('a chunk size out of range');
      this.#size = this.#size * 16 + digit;
      return;
    }
    if (this.#digits === 0) throw new MalformedMessage('a chunk without a size');
    if (byte === CR) this.#state = 'size-lf';
    // Blanks may not stand here: some readers skip them, others take them for the end of the number.
    else if (byte === 0x3b) this.#state = 'extension';
    else throw new MalformedMessage('a malformed chunk size');
  }

  #takeTrailerByte(byte: number): void {
    this.#countOverhead();
    if (byte === CR) {
      this.#state = 'trailer-lf';
      return;
    }
    this.#lineBytes++;
    this.#trailerText += String.fromCharCode(byte);
  }

  #endTrailerLine(): void {
    if (this.#lineBytes > 0) {
      this.#lineBytes = 0;
      this.#trailerText += '\r\n';
      this.#state = 'trailer';
      return;
    }
    this.#state = 'done';
    if (this.#trailerText === '') return;
    this.#trailers = [];
    readFields(toByteText(this.#trailerText), 0, MAX_TRAILER_LINES, this.#trailers);
    this.#trailerText = '';
  }

  #countOverhead(): void {
    if (++this.#overhead > MAX_OVERHEAD_BYTES) throw new MalformedMessage('too many chunk extensions or trailers');
  }

  #expect(byte: number, expected: number): void {
    if (byte !== expected) throw new MalformedMessage('a chunk that does not end where it says');
  }
}

function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
