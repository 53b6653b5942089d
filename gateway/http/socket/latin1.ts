// Bytes as text, one character for each.
// Must not be used for what anybody reads: it is how bytes leave with a head as one string.

/** Gives a text that is written as exactly these bytes. */
export function toLatin1(bytes: Uint8Array): string {
  // Nearly all are Buffers, and a view of one would cost as much as its bytes.
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return buffer.toString('latin1');
}
