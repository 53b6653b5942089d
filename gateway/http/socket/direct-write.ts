// Writes text to the system past the stream of its socket.
// Must not be used while something waits in that stream: it would be overtaken.
import type { Socket } from 'node:net';
import { getSystemErrorName } from 'node:util';

/** Hears that the system has taken a text which it did not take at once, or that it will not. */
export type Taken = (error?: Error | null) => void;

/** Is what the system reports a write with. Nothing of it is used for a write that is over when the call returns. */
interface WriteRequest {
  oncomplete(status: number): void;
  /** Gives -1 while the system holds nothing of it. */
  getAsyncId(): number;
}

/** Is what Node's sockets write by. */
interface TextHandle {
  /** Gives 0, or the negative number of an error. */
  writeLatin1String(request: WriteRequest, text: string): number;
  /** Bytes that the system has still to take. */
  readonly writeQueueSize: number;
}

/** Of Node's own class, which it does not export; undefined until a write of Node's has shown it. */
let spare: WriteRequest | undefined;

/**
 * Writes Latin-1 text. True = the system has all of it; else `later` is called, and may be before this returns where it failed.
 *
 * Node makes a request for each write, a callback and a chain of calls around it: 0.4 µs of the 1.5 that a small write costs outside
 * of the system. Nearly every write is over at once and needs none of them, so one request serves all of those. It goes by the same
 * inner fields that Node uses; where they are not, by the socket's own `_write`, which is what its stream would call.
 */
export function writeText(socket: Socket, text: string, later: Taken): boolean {
  const { _handle: handle } = socket as Socket & { readonly _handle?: TextHandle | null };
  // What waits already is Node's to go on with, and so is a handle that does not say what waits.
  if (!spare || handle?.writeQueueSize !== 0 || socket.connecting) return writeBySocket(socket, text, later);
  const request = spare;
  // Not to be had by another write before it is known to be free: the system would take two for one.
  spare = undefined;
  const status = handle.writeLatin1String(request, text);
  if (status === 0 && handle.writeQueueSize === 0) {
    // Where there was no room at first and a moment later there was, nothing waits and the request is bound all the same, until
    // the next turn. To use it again would end the process.
    spare = isFree(request) ? request : renew(request);
    return true;
  }
  spare = renew(request);
  if (status === 0) request.oncomplete = (result) => later(result < 0 ? toError(result) : undefined);
  else later(toError(status));
  return false;
}

function isFree(request: WriteRequest): boolean {
  return request.getAsyncId() === -1;
}

function renew(request: WriteRequest): WriteRequest {
  return new (request.constructor as new () => WriteRequest)();
}

function toError(status: number): Error {
  const code = getSystemErrorName(status);
  return Object.assign(new Error(`write ${code}`), { errno: status, code, syscall: 'write' });
}

function writeBySocket(socket: Socket, text: string, later: Taken): boolean {
  let isOver = false;
  let isInside = true;
  const forget = learnRequest(socket);
  socket._write(text, 'latin1', (error) => {
    if (isInside && !error) isOver = true;
    else later(error);
  });
  isInside = false;
  forget();
  return isOver;
}

/** Looks at the next write of a socket, and keeps a request like its own. Gives what ends the looking. */
function learnRequest(socket: Socket): () => void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<TextHandle> | null };
  const { writeLatin1String: write } = handle ?? {};
  if (spare || !handle || typeof write !== 'function' || typeof handle.writeQueueSize !== 'number') return () => {};
  handle.writeLatin1String = (request, text) => {
    const own: Partial<WriteRequest> = renew(request);
    // One that does not say whether it is free cannot be used again.
    if (typeof own.getAsyncId === 'function' && isFree(own as WriteRequest)) spare = own as WriteRequest;
    return write.call(handle, request, text);
  };
  return () => {
    delete handle.writeLatin1String;
  };
}
