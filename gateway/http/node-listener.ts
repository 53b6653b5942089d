// Accepts clients over node:http, stricter than its defaults.
// Must not interpret requests: it checks the grammar and hands them on.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { type ErrorCode, GatewayError } from '../core/errors.ts';
import type { Listener, RequestHandler } from '../core/ports.ts';
import { ClientConnection } from './client-connection.ts';
import { readFraming } from './framing.ts';
import { NodeBody } from './node-body.ts';
import { NodeResponse } from './node-response.ts';
import { refuseResponse } from './refusal.ts';

/** Bounds of a listener. Times in milliseconds. */
export interface ListenerLimits {
  readonly maxConnections: number;
  /** From the first byte of a request to the end of its head. */
  readonly headerTimeoutMs: number;
  readonly keepAliveMs: number;
  /** Longest silence of a client that owes body bytes; 30 s when absent. */
  readonly bodyIdleMs?: number;
}

/** Is what a listener is made of. */
export interface NodeListenerOptions {
  readonly host: string;
  /** 0 = any free port. */
  readonly port: number;
  readonly limits: ListenerLimits;
  readonly handler: RequestHandler;
}

/** Largest request head. */
const MAX_HEAD_BYTES = 32 * 1024;
/**
 * How long a connection without a request stays open while draining. A client may be sending at this very moment, and
 * closing under it would cost it the request; its answer says `Connection: close` instead.
 */
const IDLE_GRACE_MS = 1_000;
/** How often node looks for connections past their deadline; its default of 30 s makes every deadline 30 s. */
const DEADLINE_CHECK_MS = 500;
/** Longest that a client may leave an answer lying without taking a byte of it. */
const STALLED_READER_MS = 60_000;
/** Longest silence of a client that owes body bytes. */
const BODY_IDLE_MS = 30_000;
/** Requests after which a connection is closed, so that load spreads again after a restart. */
const MAX_REQUESTS_PER_CONNECTION = 100_000;

/** Makes a listener; nothing is open before `listen`. */
export function createNodeListener(options: NodeListenerOptions): Listener {
  const { limits } = options;
  const bodyIdleMs = limits.bodyIdleMs ?? BODY_IDLE_MS;
  let isDraining = false;
  const server = createServer({
    maxHeaderSize: MAX_HEAD_BYTES,
    insecureHTTPParser: false,
    // Our own answer says what is wrong.
    requireHostHeader: false,
    headersTimeout: limits.headerTimeoutMs,
    // Bodies may take hours; NodeBody bounds their silence instead.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: DEADLINE_CHECK_MS,
  });
  // Above its count node 20 drops header lines silently but frames by them. 0 = no count; the core refuses above 100.
  server.maxHeadersCount = 0;
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
  server.maxConnections = limits.maxConnections;
  server.timeout = STALLED_READER_MS;

  const connections = new Map<Socket, ClientConnection>();
  server.on('connection', (socket) => {
    connections.set(socket, new ClientConnection(socket));
    socket.once('close', () => connections.delete(socket));
  });

  const receive = (request: IncomingMessage, response: ServerResponse, expectation?: Expectation): void => {
    const connection = connections.get(request.socket);
    const outgoing = new NodeResponse(request, response, () => isDraining);
    // One listener for all that follows the end of a response: each costs on every request.
    response.once('close', () => {
      outgoing.closed();
      connection?.leave();
    });
    connection?.enter({ request, response, begin: () => serve(request, response, outgoing, expectation) });
  };
  const serve = (
    request: IncomingMessage,
    response: ServerResponse,
    outgoing: NodeResponse,
    expectation: Expectation | undefined,
  ): void => {
    const framing = readFraming(request.rawHeaders, request.httpVersion);
    if (!framing.ok || expectation === 'unknown') {
      refuseResponse(response, framing.ok ? BAD_EXPECTATION : new GatewayError('REQUEST_MALFORMED', framing.detail));
      return;
    }
    const expectsContinue = expectation === '100-continue';
    const body = framing.hasBody
      ? new NodeBody(request, response, { length: framing.length, expectsContinue, idleMs: bodyIdleMs })
      : undefined;
    if (body) response.once('finish', () => body.end());
    options.handler(
      {
        method: request.method ?? '',
        target: request.url ?? '',
        httpVersion: request.httpVersion,
        rawHeaders: request.rawHeaders,
        body,
        remoteAddress: request.socket.remoteAddress ?? '',
        localPort: request.socket.localPort ?? 0,
        isTls: false,
      },
      outgoing,
    );
  };

  server.on('request', (request, response) => receive(request, response));
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // Node sees `y 100-continue` as this expectation too; a server that reads it otherwise would wait for the body.
    receive(request, response, request.headers.expect?.toLowerCase() === '100-continue' ? '100-continue' : 'unknown');
  });
  server.on('checkExpectation', (request, response) => receive(request, response, 'unknown'));
  server.on('connect', (_request, socket: Socket) => {
    // Node takes its own listeners off, and a reset would go unheard.
    socket.on('error', () => socket.destroy());
    connections.get(socket)?.refuse(NO_CONNECT);
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const [code, detail] = CLIENT_ERRORS[error.code ?? ''] ?? NO_HTTP;
    const connection = connections.get(socket);
    if (connection) connection.refuse(new GatewayError(code, detail));
    else socket.destroy();
  });
  // Idle for as long as it may be, or owed bytes that it does not take. Who waits for an answer may wait.
  server.on('timeout', (socket: Socket) => {
    if (socket.writableLength > 0 || (connections.get(socket)?.isIdle ?? true)) socket.destroy();
  });

  return {
    listen: () => listen(server, options),
    async drain() {
      isDraining = true;
      const timer = setTimeout(() => {
        for (const [socket, { isIdle }] of connections) if (isIdle) socket.destroy();
      }, IDLE_GRACE_MS);
      await close(server);
      clearTimeout(timer);
    },
    close() {
      const closed = close(server);
      server.closeAllConnections();
      for (const socket of connections.keys()) socket.destroy();
      return closed;
    },
  };
}

/** Is what a client expects before it sends its body. */
type Expectation = '100-continue' | 'unknown';

const NO_HTTP: readonly [ErrorCode, string] = ['REQUEST_MALFORMED', 'the request is not valid HTTP/1.1'];
const CLIENT_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['HEADERS_TOO_LARGE', `the request head is larger than ${MAX_HEAD_BYTES} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: ['REQUEST_TIMEOUT', 'the request head took too long to arrive'],
};
const BAD_EXPECTATION = new GatewayError('EXPECTATION_FAILED', 'the only expectation supported is 100-continue');
const NO_CONNECT = new GatewayError('METHOD_NOT_ALLOWED', 'CONNECT is not supported', { headers: { allow: '' } });

function listen(
  server: Server,
  options: NodeListenerOptions,
): Promise<{ readonly host: string; readonly port: number }> {
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

/** Stops accepting and resolves when the last connection is closed. Unlike http's own close it leaves idle ones alone. */
function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    if (server.listening) NetServer.prototype.close.call(server, () => resolve());
    else resolve();
  });
}
