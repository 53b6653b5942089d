// Reads a file line by line, in slices between which the event loop turns.
// Must not know what the lines say.
import type { FileHandle } from 'node:fs/promises';

/** Bytes that are made, or parsed, before the event loop turns: about a millisecond of work. */
export const SLICE_BYTES: number = 64 * 1024;

/** A line is one entity, or one update; the largest that the control plane takes is far below. */
const MAX_LINE_BYTES = 64 * 1024 * 1024;

/** Gives the lines of each slice of the file, as bytes without the line end. What follows the last line end is an error. */
export async function* readSlices(handle: FileHandle): AsyncGenerator<readonly Buffer[]> {
  let parts: Buffer[] = [];
  let pendingBytes = 0;
  for (;;) {
    const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(SLICE_BYTES), 0, SLICE_BYTES);
    if (bytesRead === 0) break;
    const slice = buffer.subarray(0, bytesRead);
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = slice.indexOf(10); end !== -1; end = slice.indexOf(10, from)) {
      const tail = slice.subarray(from, end);
      lines.push(parts.length === 0 ? tail : Buffer.concat([...parts, tail]));
      parts = [];
      pendingBytes = 0;
      from = end + 1;
    }
    pendingBytes += slice.length - from;
    if (pendingBytes > MAX_LINE_BYTES) throw new Error('a line is too long: the file was damaged');
    if (from < slice.length) parts.push(slice.subarray(from));
    yield lines;
  }
  if (parts.length > 0) throw new Error('expected a line end at the end: the file is cut short');
}
