// Ends a connection so that its peer cannot take what came for the whole.
// Must not be used for an orderly end.
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';

/**
 * Breaks a connection. In clear by a reset: to a peer that reads until the connection closes an end would look like a whole
 * message. TLS has its own mark of an orderly end, which is not sent.
 */
export function breakSocket(socket: Socket): void {
  // In the moment between `end` and its taking effect Node can neither reset a socket nor close it any more.
  const isEnding = socket.writableEnded && !socket.writableFinished;
  if (isEnding || socket instanceof TLSSocket) socket.destroy();
  else socket.resetAndDestroy();
}
