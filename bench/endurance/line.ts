// Is one kept-alive client connection on a raw socket: one request at a time, raw bytes out, the status back.
// Must not send what it was not given.
import { connect, type Socket } from 'node:net';
import { buildAnswerReader } from '../load/socket-load.ts';

/** Says where to. */
export interface LineOptions {
  readonly port: number;
  /** One of 127.0.0.0/8, when one address has too few ports. */
  readonly localAddress?: string;
}

/** Is an open connection. */
export interface Line {
  /** Takes a further request: neither end has closed it, nor said that it will. */
  readonly isOpen: boolean;
  /** Sends a request in pieces; gives the status of its answer. @throws Error when the connection breaks before it. */
  ask(...pieces: readonly Buffer[]): Promise<number>;
  close(): void;
}

interface Waiting {
  resolve(status: number): void;
  reject(error: Error): void;
}

/** Opens a connection. @throws Error when it is refused. */
export async function openLine({ port, localAddress }: LineOptions): Promise<Line> {
  const socket: Socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const reader = buildAnswerReader();
  let isOpen = false;
  let waiting: Waiting | undefined;
  socket.on('data', (chunk) => {
    for (const status of reader.read(chunk)) {
      const { resolve } = waiting ?? {};
      waiting = undefined;
      // Who goes on asking then loses a request: a node that drains says so and closes.
      if (reader.isLast) isOpen = false;
      if (resolve) resolve(status);
      else socket.destroy(new Error('an answer that nobody asked for'));
    }
  });
  await new Promise<void>((resolve, reject) => {
    socket.on('connect', resolve);
    socket.on('error', reject);
  });
  isOpen = true;
  socket.on('close', () => {
    isOpen = false;
    waiting?.reject(socket.errored ?? new Error('the connection closed before the answer'));
  });
  return {
    get isOpen() {
      return isOpen;
    },
    ask(...pieces) {
      if (!isOpen) return Promise.reject(new Error('the connection was closed before the request'));
      for (const piece of pieces) socket.write(piece);
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
      });
    },
    close: () => void socket.destroy(),
  };
}
