// Tells the end of what a peer sends from a connection that broke.
// Must not be asked before the socket said that it ended.
import type { Socket } from 'node:net';

interface PeerHandle {
  /** Gives an error number, 0 = none. */
  getpeername(name: object): number;
}

/**
 * Says whether a socket that ended was reset. Bytes with a reset right behind them look like an orderly end: libuv reports one
 * when the connection is gone and the last read was short. What ends by closing would then be half, and look whole.
 */
export function checkEnd(socket: Socket, tell: (reset: Error | undefined) => void): void {
  if (socket.errored) {
    tell(socket.errored);
    return;
  }
  // A socket that closes both halves at once, or has closed its own, has no peer any more in either case.
  if (!socket.allowHalfOpen || !socket.writable) {
    tell(undefined);
    return;
  }
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<PeerHandle> | null };
  if (typeof handle?.getpeername === 'function') {
    // The system knows the peer of a connection of which only the other half is closed, and of no other. A write would say the
    // same, but not before what waits to be written is gone, and to a peer that is slow that takes as long as it likes.
    tell(handle.getpeername({}) === 0 ? undefined : new Error('the connection was reset'));
    return;
  }
  // To write nothing fails on a connection that was reset, and does nothing else.
  socket.write('', 'latin1', (error) => tell(error ?? undefined));
}
