// Collects the head of a message from the pieces in which it arrives.
// Must not read it: it only finds its end, and what can never become one.
import { MalformedMessage } from './malformed.ts';

const HEAD_END = '\r\n\r\n';
const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const FIRST_SIZE_BYTES = 1024;

/** Collects one head after another. */
export class HeadBuffer {
  #text = '';
  readonly #maxBytes: number;
  #bytes: Buffer | undefined;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Says whether nothing of a head has come. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Gives the head without the empty line at its end, once `take` found one, and keeps it no longer: a connection may idle. */
  takeText(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  /**
   * Takes a piece. Gives how many of its bytes belong to the head, once that is whole, else -1.
   * @throws MalformedMessage when the head is too large, or holds what no head can hold.
   */
  take(piece: Buffer): number {
    if (this.#length > 0) return this.#append(piece);
    const end = this.#findWhole(piece);
    return end === -1 ? this.#append(piece) : end;
  }

  /** Nearly every head comes in one piece: no copy then. */
  #findWhole(piece: Buffer): number {
    const end = piece.indexOf(HEAD_END, 0, 'latin1');
    if (end === -1) return -1;
    if (end > this.#maxBytes) throw this.#tooLarge(piece);
    // Not cut out of a longer string: reading a slice character by character takes half as long again.
    this.#text = piece.toString('latin1', 0, end);
    return end + HEAD_END.length;
  }

  #append(piece: Buffer): number {
    const before = this.#length;
    const added = Math.min(piece.length, this.#maxBytes + HEAD_END.length - before);
    const bytes = this.#reserve(before + added);
    piece.copy(bytes, before, 0, added);
    this.#length = before + added;
    // Not from the start again: a head that drips in byte by byte must not cost its length squared.
    const end = bytes.subarray(0, this.#length).indexOf(HEAD_END, Math.max(0, before - 3), 'latin1');
    if (end === -1) {
      checkPartial(bytes, Math.max(0, before - 1), this.#length);
      // Not at the bound itself: what is missing of the empty line may come yet.
      if (this.#length === this.#maxBytes + HEAD_END.length) throw this.#tooLarge(bytes);
      return -1;
    }
    this.#text = bytes.toString('latin1', 0, end);
    this.#bytes = undefined;
    this.#length = 0;
    return end + HEAD_END.length - before;
  }

  #reserve(length: number): Buffer {
    const old = this.#bytes;
    if (old && old.length >= length) return old;
    const bytes = Buffer.allocUnsafeSlow(Math.max(FIRST_SIZE_BYTES, 2 * length));
    old?.copy(bytes, 0, 0, this.#length);
    this.#bytes = bytes;
    return bytes;
  }

  #tooLarge(bytes: Buffer): MalformedMessage {
    // A first line without an end is too long whatever would have followed.
    const hasLine = bytes.subarray(0, this.#maxBytes).includes('\r\n', 0, 'latin1');
    return new MalformedMessage(
      `the ${hasLine ? 'head' : 'first line'} is larger than ${this.#maxBytes} bytes`,
      hasLine ? 'too-large' : 'line-too-long',
    );
  }
}

// Bare line ends and control characters never make a head: whoever sends them must not wait for a time-out to learn it.
function checkPartial(bytes: Buffer, from: number, to: number): void {
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0;
    if (byte >= 0x20 ? byte !== 0x7f : byte === TAB) continue;
    const isLineEnd =
      byte === CR ? at + 1 === to || bytes[at + 1] === LF : byte === LF && at > 0 && bytes[at - 1] === CR;
    if (!isLineEnd) throw new MalformedMessage('the head holds a bare CR, a bare LF or another control character');
  }
}
