// What a target said before it reset the connection under a request body.
// Must not outlive the connection: it delays its end, briefly.
import type { Socket } from 'node:net';

/** How long what has arrived may take to be read. */
const READ_MS = 10;

/**
 * Lets a socket read on when a write fails. A target that answers early, 413 say, and closes while the body is still coming
 * makes writes fail at once; Node would then destroy the socket with the answer unread in it.
 */
export function hearLastWords(socket: Socket): void {
  const destroy = socket.destroy.bind(socket);
  let isEnding = false;
  const end = (error: Error): void => {
    const timer = setTimeout(() => {
      // Who does not read now may read later; the deadline of the request bounds it.
      if (socket.isPaused()) end(error);
      // Behind the timers of a turn the system is asked for what can be read; behind that come immediates.
      else setImmediate(() => destroy(error));
    }, READ_MS);
    timer.unref();
  };
  socket.destroy = (error) => {
    if (!error || isEnding || socket.destroyed || !isWriteError(error)) return destroy(error);
    isEnding = true;
    end(error);
    return socket;
  };
}

function isWriteError(error: Error & { readonly syscall?: string }): boolean {
  return error.syscall === 'write';
}
