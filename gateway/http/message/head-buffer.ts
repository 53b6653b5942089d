// Collects the head of a message from the pieces in which it arrives.
// Must not read it: it only finds its end, and what can never become one.
import type { ByteText } from './byte-text.ts';
import { MalformedMessage } from './malformed.ts';

const HEAD_END_BYTES = 4;
const CR = 0x0d;
const LF = 0x0a;
const TAB = 0x09;
const FIRST_SIZE_BYTES = 1024;
const NOTHING = new Uint8Array(0);

/** Collects one head after another. Is the last one, without the empty line at its end, from when `take` found it to `forget`. */
export class HeadBuffer implements ByteText {
  text = '';
  bytes: Uint8Array = NOTHING;
  readonly #maxBytes: number;
  #collected: Buffer | undefined;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Says whether nothing of a head has come. */
  get isEmpty(): boolean {
    return this.#length === 0;
  }

  /** Keeps the head no longer: a connection may idle, and its bytes are lent. */
  forget(): void {
    this.text = '';
    this.bytes = NOTHING;
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
    const end = findEnd(piece, 0, piece.length);
    if (end === -1) return -1;
    if (end > this.#maxBytes) throw this.#tooLarge(piece);
    this.#found(piece, end);
    return end + HEAD_END_BYTES;
  }

  #append(piece: Buffer): number {
    const before = this.#length;
    const added = Math.min(piece.length, this.#maxBytes + HEAD_END_BYTES - before);
    const bytes = this.#reserve(before + added);
    piece.copy(bytes, before, 0, added);
    this.#length = before + added;
    // Not from the start again: a head that drips in byte by byte must not cost its length squared.
    const end = findEnd(bytes, Math.max(0, before - 3), this.#length);
    if (end === -1) {
      checkPartial(bytes, Math.max(0, before - 1), this.#length);
      // Not at the bound itself: what is missing of the empty line may come yet.
      if (this.#length === this.#maxBytes + HEAD_END_BYTES) throw this.#tooLarge(bytes);
      return -1;
    }
    this.#found(bytes, end);
    this.#collected = undefined;
    this.#length = 0;
    return end + HEAD_END_BYTES - before;
  }

  #found(bytes: Buffer, end: number): void {
    this.text = bytes.toString('latin1', 0, end);
    this.bytes = bytes;
  }

  #reserve(length: number): Buffer {
    const old = this.#collected;
    if (old && old.length >= length) return old;
    const bytes = Buffer.allocUnsafeSlow(Math.max(FIRST_SIZE_BYTES, 2 * length));
    old?.copy(bytes, 0, 0, this.#length);
    this.#collected = bytes;
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

/**
 * Finds where CR LF CR LF begins in `bytes[from..to)`; -1 = it is not there. Looks where its last byte may be, which is at every
 * fourth place as a rule. Not by `indexOf`: to leave compiled code takes as long as a whole head here.
 */
function findEnd(bytes: Uint8Array, from: number, to: number): number {
  let at = from + 3;
  while (at < to) {
    const byte = bytes[at];
    if (byte === LF) {
      if (bytes[at - 1] === CR && bytes[at - 2] === LF && bytes[at - 3] === CR) return at - 3;
      at += 2;
    } else at += byte === CR ? 1 : 4;
  }
  return -1;
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
