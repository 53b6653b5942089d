// Writes chunked bodies.
// Must not decide whether a body is chunked.
import type { Socket } from 'node:net';
import { appendFields } from './fields.ts';

/** Writes one chunk; gives false when the writer should wait for the socket to drain. @see RFC 9112 section 7.1 */
export function writeChunk(socket: Socket, chunk: Uint8Array): boolean {
  socket.cork();
  socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
  socket.write(chunk);
  const mayGoOn = socket.write('\r\n', 'latin1');
  socket.uncork();
  return mayGoOn;
}

/** Gives the last chunk with its trailers (name, value, name, value ...). @see RFC 9112 section 7.1.2 */
export function writeLastChunk(trailers: readonly string[] | undefined): string {
  if (!trailers || trailers.length === 0) return '0\r\n\r\n';
  return `${appendFields('0', trailers)}\r\n\r\n`;
}
