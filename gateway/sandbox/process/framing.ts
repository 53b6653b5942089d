// Frames on a pipe: lengths, then JSON, then bytes. The same code on both ends.
// Must not import what a child process may not read.

// By import: a child takes the globals away.
import { Buffer } from 'node:buffer';
import type { Frame } from '../messages.ts';

/** Bounds what is read of a frame. */
export interface FrameBounds {
  readonly maxTextBytes: number;
  readonly maxBlobBytes: number;
}

/** Most pieces of bytes in one frame. */
const MAX_BLOBS = 64;
const HEAD_BYTES = 8;

/** Writes a frame: bytes of the text, number of blobs, bytes of each, text, blobs. */
export function writeFrame({ text, blobs }: Frame): Buffer {
  const textBytes = Buffer.byteLength(text);
  let size = HEAD_BYTES + 4 * blobs.length + textBytes;
  for (const blob of blobs) size += blob.length;
  const frame = Buffer.allocUnsafe(size);
  frame.writeUInt32LE(textBytes, 0);
  frame.writeUInt32LE(blobs.length, 4);
  let at = HEAD_BYTES;
  for (const blob of blobs) at = frame.writeUInt32LE(blob.length, at);
  at += frame.write(text, at);
  for (const blob of blobs) {
    frame.set(blob, at);
    at += blob.length;
  }
  return frame;
}

/** Cuts a stream of bytes into frames. */
export class FrameReader {
  readonly #bounds: FrameBounds;
  readonly #onFrame: (frame: Frame) => void;
  #pieces: Buffer[] = [];
  #size = 0;
  /** Bytes without which there is no use in looking. */
  #needed: number = HEAD_BYTES;

  constructor(bounds: FrameBounds, onFrame: (frame: Frame) => void) {
    this.#bounds = bounds;
    this.#onFrame = onFrame;
  }

  /** Takes bytes as they come. @throws RangeError when a frame announces more than it may hold */
  feed(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#size += piece.length;
    if (this.#size < this.#needed) return;
    let bytes = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces);
    for (this.#needed = this.#measure(bytes); bytes.length >= this.#needed; this.#needed = this.#measure(bytes)) {
      const frame = bytes.subarray(0, this.#needed);
      bytes = bytes.subarray(this.#needed);
      this.#onFrame(readFrame(frame));
    }
    this.#pieces = bytes.length === 0 ? [] : [bytes];
    this.#size = bytes.length;
  }

  /** Says how many bytes the frame has of which `bytes` is the beginning, or, of less than its table, how many tell. */
  #measure(bytes: Buffer): number {
    if (bytes.length < HEAD_BYTES) return HEAD_BYTES;
    const textBytes = bytes.readUInt32LE(0);
    const count = bytes.readUInt32LE(4);
    if (textBytes > this.#bounds.maxTextBytes) throw new RangeError('a message is too long');
    if (count > MAX_BLOBS) throw new RangeError('a message has too many pieces of bytes');
    const tableEnd = HEAD_BYTES + 4 * count;
    if (bytes.length < tableEnd) return tableEnd;
    let blobBytes = 0;
    for (let at = HEAD_BYTES; at < tableEnd; at += 4) blobBytes += bytes.readUInt32LE(at);
    if (blobBytes > this.#bounds.maxBlobBytes) throw new RangeError('a message has too many bytes');
    return tableEnd + textBytes + blobBytes;
  }
}

function readFrame(bytes: Buffer): Frame {
  const textBytes = bytes.readUInt32LE(0);
  const tableEnd = HEAD_BYTES + 4 * bytes.readUInt32LE(4);
  let at = tableEnd + textBytes;
  const blobs: Uint8Array[] = [];
  for (let entry = HEAD_BYTES; entry < tableEnd; entry += 4) {
    const size = bytes.readUInt32LE(entry);
    blobs.push(bytes.subarray(at, at + size));
    at += size;
  }
  return { text: bytes.toString('utf8', tableEnd, tableEnd + textBytes), blobs };
}
