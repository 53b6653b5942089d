// Accepts clients: bounds how many, and drains them.
// Must not read messages: the connections do.
import { createServer, type Server, type Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { GatewayError } from '../core/errors.ts';
import type { Listener, RequestHandler } from '../core/ports.ts';
import type { ConnectionFacts } from './h1/connection-options.ts';
import { ServerConnection } from './h1/server-connection.ts';
import { PrefaceReader } from './h2/preface.ts';
import { serveHttp2 } from './h2/server-session.ts';
import { Deadlines } from './message/deadlines.ts';
import { readPreamble } from './proxy-preamble.ts';
import type { Handshakes } from './tls/handshakes.ts';
import { WireTally } from './wire-tally.ts';

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
  /** Makes every connection secure before HTTP begins. Absent = in clear. */
  readonly handshakes?: Handshakes;
  /** Says who must begin with a PROXY header and name its client in it. */
  readonly speaksForOthers?: (address: string) => boolean;
  /** Counts for several listeners together; one of its own when absent. */
  readonly tally?: WireTally;
}

/** Says what a client speaks; `none` as long as nothing of HTTP has come. */
export type ClientProtocol = 'http/1.1' | 'h2' | 'none';

/** Is a listener that can say what is open. */
export interface HttpListener extends Listener {
  /** Counts the connections with clients by looking at each: for those who ask now and then. */
  countConnections(): Readonly<Record<ClientProtocol, number>>;
}

/** How often deadlines of connections are looked at. */
const DEADLINE_TICK_MS = 200;
/** How long a connection on which HTTP has not begun may go on arriving while the listener drains. */
const ARRIVAL_GRACE_MS = 1_000;
/** How often connections that are not read from are looked at. */
const PAUSE_TICK_MS = 50;
/** Longest silence of a client that owes body bytes. */
const BODY_IDLE_MS = 30_000;

/** Makes a listener; nothing is open before `listen`. */
export function createListener(options: ListenerOptions): HttpListener {
  const { limits, handler, handshakes, tally = new WireTally() } = options;
  let isDraining = false;
  const deadlines = new Deadlines(DEADLINE_TICK_MS);
  const pauses = new Deadlines(PAUSE_TICK_MS);
  const shared = {
    handler,
    deadlines,
    pauses,
    tally,
    headerTimeoutMs: limits.headerTimeoutMs,
    keepAliveMs: limits.keepAliveMs,
    bodyIdleMs: limits.bodyIdleMs ?? BODY_IDLE_MS,
    isDraining: () => isDraining,
  };
  const connections = new Map<Socket, { readonly protocol: ClientProtocol; drain(): void }>();
  /** Those on which HTTP has not begun. */
  const arriving = new Set<Socket>();
  const crowds = new Crowds(limits.maxConnectionsPerIp ?? 0);

  const hold = <Held extends { readonly protocol: ClientProtocol; drain(): void }>(
    socket: Socket,
    held: Held,
  ): Held => {
    connections.set(socket, held);
    if (isDraining) held.drain();
    return held;
  };
  const begin = (socket: Socket, facts: ConnectionFacts): void => {
    socket.once('close', () => connections.delete(socket));
    hold(
      socket,
      new PrefaceReader(socket, {
        deadlines,
        timeoutMs: limits.headerTimeoutMs,
        onHttp1: (bytes) => hold(socket, new ServerConnection(socket, shared, facts)).take(bytes),
        onHttp2: () => void hold(socket, serveHttp2(socket, shared, facts)),
      }),
    );
  };
  const beginSecure = (socket: TLSSocket, facts: ConnectionFacts): void => {
    socket.once('close', () => connections.delete(socket));
    // Over TLS the protocol was agreed on: RFC 9113 section 3.2.
    if (socket.alpnProtocol === 'h2') hold(socket, serveHttp2(socket, shared, facts));
    else hold(socket, new ServerConnection(socket, shared, facts));
  };
  const enter = (socket: Socket, remoteAddress: string): void => {
    if (!crowds.enter(remoteAddress)) {
      tally.turnedAway['connections-per-ip']++;
      socket.destroy();
      return;
    }
    socket.once('close', () => crowds.leave(remoteAddress));
    const localPort = socket.localPort ?? 0;
    if (!handshakes) {
      arriving.delete(socket);
      begin(socket, { remoteAddress, localPort, tls: undefined });
      return;
    }
    handshakes.begin(socket, {
      onSecure(secure, tls) {
        arriving.delete(socket);
        beginSecure(secure, { remoteAddress, localPort, tls });
      },
      onPlain: () => refusePlain(socket, tally),
    });
  };
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    const peer = socket.remoteAddress;
    // Without an address it is gone already.
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    arriving.add(socket);
    socket.once('close', () => arriving.delete(socket));
    if (!options.speaksForOthers?.(peer)) enter(socket, peer);
    else {
      const timeoutMs = limits.headerTimeoutMs;
      readPreamble(socket, { deadlines, timeoutMs, onRead: (address) => enter(socket, address ?? peer) });
    }
  });
  server.maxConnections = limits.maxConnections;
  server.on('drop', () => tally.turnedAway.connections++);

  return {
    listen: () => listen(server, options),
    countConnections() {
      const counts = { 'http/1.1': 0, h2: 0, none: arriving.size };
      for (const { protocol } of connections.values()) counts[protocol]++;
      return counts;
    },
    async drain() {
      isDraining = true;
      for (const connection of connections.values()) connection.drain();
      const timer = setTimeout(() => {
        for (const socket of arriving) socket.destroy();
      }, ARRIVAL_GRACE_MS);
      await close(server);
      clearTimeout(timer);
      deadlines.close();
      pauses.close();
    },
    async close() {
      const closed = close(server);
      for (const socket of [...connections.keys(), ...arriving]) socket.destroy();
      await closed;
      deadlines.close();
      pauses.close();
    },
  };
}

/** Tells a client that speaks in clear where it should not, and closes. */
function refusePlain(socket: Socket, tally: WireTally): void {
  const refusal = new GatewayError('REQUEST_MALFORMED', 'this port speaks TLS');
  socket.end(tally.refuse(refusal), () => socket.destroy());
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
