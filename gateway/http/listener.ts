// Accepts clients: bounds how many, and drains them.
// Must not read messages: the connections do.
import { createServer, type Server, type Socket } from 'node:net';
import type { Listener, RequestHandler } from '../core/ports.ts';
import { ServerConnection } from './h1/server-connection.ts';
import { PrefaceReader } from './h2/preface.ts';
import { serveHttp2 } from './h2/server-session.ts';
import { Deadlines } from './message/deadlines.ts';

/** Bounds of a listener. Times in milliseconds. */
export interface ListenerLimits {
  readonly maxConnections: number;
  /** Connections from one address; 0 = as many as there may be in all. */
  readonly maxConnectionsPerIp?: number;
  /** From the first byte of a request to the end of its head. */
  readonly headerTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Longest silence of a client that owes body bytes; 30 s when absent. */
  readonly bodyIdleMs?: number;
}

/** Is what a listener is made of. */
export interface ListenerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly limits: ListenerLimits;
  readonly handler: RequestHandler;
}

/** How often deadlines of connections are looked at. */
const DEADLINE_TICK_MS = 200;
/** How often connections that are not read from are looked at. */
const PAUSE_TICK_MS = 50;
/** Longest silence of a client that owes body bytes. */
const BODY_IDLE_MS = 30_000;

/** Makes a listener; nothing is open before `listen`. */
export function createListener(options: ListenerOptions): Listener {
  const { limits, handler } = options;
  let isDraining = false;
  const deadlines = new Deadlines(DEADLINE_TICK_MS);
  const pauses = new Deadlines(PAUSE_TICK_MS);
  const shared = {
    handler,
    deadlines,
    pauses,
    headerTimeoutMs: limits.headerTimeoutMs,
    keepAliveMs: limits.keepAliveMs,
    bodyIdleMs: limits.bodyIdleMs ?? BODY_IDLE_MS,
    isTls: false,
    isDraining: () => isDraining,
  };
  const connections = new Map<Socket, { drain(): void }>();
  const crowds = new Crowds(limits.maxConnectionsPerIp ?? 0);
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const address = socket.remoteAddress;
    // Without an address it is gone already.
    if (address === undefined || !crowds.enter(address)) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    socket.on('error', () => socket.destroy());
    const reader = new PrefaceReader(socket, {
      deadlines,
      timeoutMs: limits.headerTimeoutMs,
      onHttp1(bytes) {
        const connection = new ServerConnection(socket, shared);
        connections.set(socket, connection);
        if (isDraining) connection.drain();
        connection.take(bytes);
      },
      onHttp2() {
        const facts = { remoteAddress: address, localPort: socket.localPort ?? 0, isTls: false };
        const session = serveHttp2(socket, shared, facts);
        connections.set(socket, session);
        if (isDraining) session.drain();
      },
    });
    connections.set(socket, reader);
    socket.once('close', () => {
      connections.delete(socket);
      crowds.leave(address);
    });
  });
  server.maxConnections = limits.maxConnections;

  return {
    listen: () => listen(server, options),
    async drain() {
      isDraining = true;
      for (const connection of connections.values()) connection.drain();
      await close(server);
      deadlines.close();
      pauses.close();
    },
    async close() {
      const closed = close(server);
      for (const socket of connections.keys()) socket.destroy();
      await closed;
      deadlines.close();
      pauses.close();
    },
  };
}

/** Counts connections by address. */
class Crowds {
  readonly #most: number;
  readonly #counts = new Map<string, number>();

  constructor(most: number) {
    this.#most = most;
  }

  enter(address: string): boolean {
    if (this.#most === 0) return true;
    const count = this.#counts.get(address) ?? 0;
    if (count >= this.#most) return false;
    this.#counts.set(address, count + 1);
    return true;
  }

  leave(address: string): void {
    if (this.#most === 0) return;
    const count = (this.#counts.get(address) ?? 0) - 1;
    if (count > 0) this.#counts.set(address, count);
    else this.#counts.delete(address);
  }
}

function listen(server: Server, options: ListenerOptions): Promise<{ readonly host: string; readonly port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: options.host, port: options.port }, () => {
      server.off('error', reject);
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : options.port;
      resolve({ host: options.host, port });
    });
  });
}

/** Stops accepting; resolves when the last connection is closed. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (server.listening) server.close(() => resolve());
    else resolve();
  });
}
