// Reads all sockets of this process into one buffer.
// Must not be used where bytes are kept: they are lent until the callback returns.
import { connect, Socket, type TcpNetConnectOpts } from 'node:net';

/** As much as libuv asks for at once. */
const READ_BYTES = 64 * 1024;

/** Longest read whose view is kept for the next one. */
const MAX_KEPT_VIEW_BYTES = 2 * 1024;

/** Takes bytes that are lent: who keeps any of them after it returns must copy them. */
export type LentReader = (bytes: Buffer) => void;

// A buffer of its own for each read costs a proxied request more than its routing: 64 KiB are taken and given back for a
// few hundred bytes. Reads of one process never overlap, as long as nobody writes an empty piece to the TLS socket that is being
// read: node:tls then looks for more to decrypt at once, from within the write.
const shared = Buffer.allocUnsafeSlow(READ_BYTES);

/** Views of the first bytes of it, by how many, made when they are needed: most reads are as long as some before. */
const views: (Buffer | undefined)[] = new Array(MAX_KEPT_VIEW_BYTES + 1).fill(undefined);

function viewOf(length: number): Buffer {
  if (length > MAX_KEPT_VIEW_BYTES) return shared.subarray(0, length);
  views[length] ??= shared.subarray(0, length);
  return views[length];
}

/** Connects, and hands everything that comes to `read`. There are no `data` events. */
export function connectReading(options: TcpNetConnectOpts, read: LentReader): Socket {
  return connect({
    ...options,
    onread: {
      buffer: shared,
      callback(length) {
        read(viewOf(length));
        return true;
      },
    },
  });
}

/**
 * Hands everything that comes on an accepted socket to `read`. Node offers `onread` for sockets that connect, not for those
 * that a server accepts, so what it does there is done here by the same inner fields; where they are not, `data` events do.
 */
export function readAccepted(socket: Socket, read: LentReader): void {
  const { _handle: handle } = socket as Socket & { readonly _handle?: Partial<UserBufferHandle> | null };
  if (!BUFFER || !CALLBACK || typeof handle?.useUserBuffer !== 'function') {
    socket.on('data', read);
    return;
  }
  Object.defineProperty(socket, BUFFER, { value: shared, writable: true });
  Object.defineProperty(socket, CALLBACK, {
    value: (length: number): boolean => {
      read(viewOf(length));
      return true;
    },
  });
  handle.useUserBuffer(shared);
  // What came before, such as behind a PROXY header, would be lost: nobody hears `data` events.
  const ahead: Buffer | null = socket.readableLength > 0 ? socket.read() : null;
  if (ahead) process.nextTick(read, ahead);
  socket.resume();
}

interface UserBufferHandle {
  useUserBuffer(buffer: Uint8Array): void;
}

const [BUFFER, CALLBACK] = findSymbols(['kBuffer', 'kBufferCb']);

function findSymbols(names: readonly string[]): readonly (symbol | undefined)[] {
  const symbols = Object.getOwnPropertySymbols(new Socket());
  return names.map((name) => symbols.find(({ description }) => description === name));
}
