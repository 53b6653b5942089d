// Accepts clients over node:http, stricter than its defaults.
// Must not interpret requests: it checks the grammar and hands them on.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { type ErrorCode, GatewayError } from '../core/errors.ts';
import type { Listener, OutgoingResponse, RequestHandler } from '../core/ports.ts';
import { readFraming } from './framing.ts';
import { MAX_DISCARD_BYTES, NodeBody } from './node-body.ts';
import { buildRefusal, refuse } from './refusal.ts';

/** Bounds of a listener. Times in milliseconds. */
export interface ListenerLimits {
  readonly maxConnections: number;
  /** From the first byte of a request to the end of its head. */
  readonly headerTimeoutMs: number;
  readonly keepAliveMs: number;
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
/** Longest wait for the rest of a body that nobody reads. */
const DISCARD_MS = 2_000;
/** Largest body that is joined with its head. */
const MAX_JOINED_BYTES = 16 * 1024;
/** Requests after which a connection is closed, so that load spreads again after a restart. */
const MAX_REQUESTS_PER_CONNECTION = 100_000;

/** Makes a listener; nothing is open before `listen`. */
export function createNodeListener(options: NodeListenerOptions): Listener {
  const { limits } = options;
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

  /** Open connections with the responses that are owed on each, oldest first. */
  const owed = new Map<Socket, ServerResponse[]>();
  server.on('connection', (socket) => {
    owed.set(socket, []);
    socket.once('close', () => owed.delete(socket));
  });

  const receive = (request: IncomingMessage, response: ServerResponse, expectsContinue: boolean): void => {
    const responses = owed.get(request.socket);
    responses?.push(response);
    const framing = readFraming(request.rawHeaders, request.httpVersion);
    if (!framing.ok) {
      // By the response, not the socket: answers to requests sent before this one come first.
      const { lines, body } = buildRefusal(new GatewayError('REQUEST_MALFORMED', framing.detail));
      response.shouldKeepAlive = false;
      response.writeHead(400, [...lines]).end(body);
      return;
    }
    const body = framing.hasBody
      ? new NodeBody(request, response, { length: framing.length, expectsContinue })
      : undefined;
    if (body) response.once('finish', () => endBody(request));
    const outgoing = new NodeResponse(request, response, () => isDraining);
    // One listener for all that follows the end of a response: each costs on every request.
    response.once('close', () => {
      responses?.shift();
      outgoing.closed();
    });
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

  server.on('request', (request, response) => receive(request, response, false));
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    // Node sees `y 100-continue` as this expectation too; a server that reads it otherwise would wait for the body.
    if (request.headers.expect?.toLowerCase() === '100-continue') receive(request, response, true);
    else refuse(request.socket, BAD_EXPECTATION);
  });
  server.on('checkExpectation', (request) => refuse(request.socket, BAD_EXPECTATION));
  server.on('connect', (_request, socket: Socket) => refuse(socket, NO_CONNECT));
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const [response, ...more] = owed.get(socket) ?? [];
    // An answer to something sent before is under way: another one now would be taken for it.
    if (more.length > 0 || response?.headersSent) {
      socket.destroy();
      return;
    }
    const [code, detail] = CLIENT_ERRORS[error.code ?? ''] ?? [
      'REQUEST_MALFORMED',
      'the request is not valid HTTP/1.1',
    ];
    refuse(socket, new GatewayError(code, detail));
  });

  return {
    listen: () => listen(server, options),
    async drain() {
      isDraining = true;
      const timer = setTimeout(() => {
        for (const [socket, responses] of owed) if (responses.length === 0) socket.destroy();
      }, IDLE_GRACE_MS);
      await close(server);
      clearTimeout(timer);
    },
    close() {
      const closed = close(server);
      server.closeAllConnections();
      for (const socket of owed.keys()) socket.destroy();
      return closed;
    },
  };
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: ['HEADERS_TOO_LARGE', `the request head is larger than ${MAX_HEAD_BYTES} bytes`],
  ERR_HTTP_REQUEST_TIMEOUT: ['REQUEST_TIMEOUT', 'the request head took too long to arrive'],
};
const BAD_EXPECTATION = new GatewayError('EXPECTATION_FAILED', 'the only expectation supported is 100-continue');
const NO_CONNECT = new GatewayError('METHOD_NOT_ALLOWED', 'CONNECT is not supported', { headers: { allow: '' } });

/** Reads the rest of a body that the answer did not wait for, within bounds; else closes the connection. */
function endBody(request: IncomingMessage): void {
  if (request.complete || request.destroyed) return;
  let bytes = 0;
  const timer = setTimeout(() => request.socket.destroy(), DISCARD_MS);
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_DISCARD_BYTES) request.socket.destroy();
  });
  request.on('close', () => clearTimeout(timer));
  request.resume();
}

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

/** Writes one response over node:http. */
class NodeResponse implements OutgoingResponse {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #isDraining: () => boolean;
  #length: number | undefined;
  #whenClosed: ((isComplete: boolean) => void) | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, isDraining: () => boolean) {
    this.#request = request;
    this.#response = response;
    this.#isDraining = isDraining;
  }

  writeHead(status: number, headers: readonly string[], bodyLength: number | undefined): void {
    this.#length = bodyLength;
    if (this.#isDraining()) this.#response.shouldKeepAlive = false;
    const isBodiless = status === 204 || status === 304;
    const lines =
      bodyLength === undefined || isBodiless ? [...headers] : [...headers, 'Content-Length', String(bodyLength)];
    this.#response.writeHead(status, lines);
  }

  write(chunk: Uint8Array): boolean {
    // A small body that came in one piece leaves with the head as one string: one write instead of two.
    if (chunk.length === this.#length && chunk.length <= MAX_JOINED_BYTES) {
      this.#response.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1'), 'latin1');
      // `end(text)` would append an empty piece, and two pieces take node's slow writev: a tenth of the CPU per request.
      this.#response.socket?.uncork();
      this.#response.end();
      return true;
    }
    return this.#response.write(chunk);
  }

  end(): void {
    if (!this.#response.writableEnded) this.#response.end();
  }

  abort(): void {
    // A reset, not an end: to a client that reads until the connection closes an end would look like a whole message.
    this.#request.socket.resetAndDestroy();
  }

  closeAfter(): void {
    this.#response.shouldKeepAlive = false;
  }

  onDrain(callback: () => void): void {
    this.#response.once('drain', callback);
  }

  onClose(callback: (isComplete: boolean) => void): void {
    this.#whenClosed = callback;
  }

  closed(): void {
    this.#whenClosed?.(this.#response.writableFinished);
  }
}
