// Tells the end of what a peer sends from a connection that broke.
// Must not be asked before the socket said that it ended.
import type { Socket } from 'node:net';

/**
 * Says whether a socket that ended was reset. Bytes with a reset right behind them look like an orderly end: libuv reports one
 * when the connection is gone and the last read was short. What ends by closing would then be half, and look whole.
 */
export function checkEnd(socket: Socket, tell: (reset: Error | undefined) => void): void {
  // What waits to be written will say so itself; and a socket that closes both halves at once cannot be asked.
  if (!socket.allowHalfOpen || !socket.writable || socket.writableLength > 0) {
    tell(undefined);
    return;
  }
  // To write nothing fails on a connection that was reset, and does nothing else.
  socket.write('', 'latin1', (error) => tell(error ?? undefined));
}
