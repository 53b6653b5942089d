// Sends requests to targets over undici, by its dispatch interface.
// Must not retry, redirect or decode: one try, bytes as they are.
import { Readable } from 'node:stream';
import { Client, type Dispatcher } from 'undici';
import type {
  BodySource,
  TargetAddress,
  UpstreamCall,
  UpstreamClient,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from '../core/ports.ts';
import { ClientPool, type PoolLimits } from './client-pool.ts';

const POOL_LIMITS: PoolLimits = { maxConnections: 512, maxWaiting: 1024 };
/** How long an idle connection is kept, unless the target says less. */
const KEEP_ALIVE_MS = 30_000;
/** Largest response head. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Most response header lines. */
const MAX_HEADER_LINES = 500;
/** How often connections that were not needed since the last look are closed. */
const TRIM_MS = 60_000;

/** Makes a client with one pool of kept-alive connections per address. */
export function createUndiciClient(): UpstreamClient {
  const pools = new Map<string, ClientPool>();
  // Spares most requests the making of a key.
  const byAddress = new WeakMap<TargetAddress, ClientPool>();
  const trimmer = setInterval(() => trim(pools), TRIM_MS);
  trimmer.unref();
  return {
    send(address, request, handler) {
      let pool = byAddress.get(address);
      if (!pool) {
        pool = findPool(pools, address);
        byAddress.set(address, pool);
      }
      const call = new Call(handler, pool, request);
      call.start();
      return call;
    },
    async close() {
      clearInterval(trimmer);
      await Promise.all([...pools.values()].map((pool) => pool.close()));
    },
  };
}

function keyOf(address: TargetAddress): string {
  const { protocol, host, port, connectMs, tls } = address;
  return `${protocol} ${host} ${port} ${connectMs}${tls ? ` ${tls.verify} ${tls.serverName ?? ''}` : ''}`;
}

function openClient(address: TargetAddress): Client {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return new Client(`${address.protocol}://${host}:${address.port}`, {
    pipelining: 1,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEAD_BYTES,
    connect: {
      timeout: address.connectMs,
      rejectUnauthorized: address.tls?.verify ?? true,
      ...(address.tls?.serverName === undefined ? {} : { servername: address.tls.serverName }),
    },
  });
}

function findPool(pools: Map<string, ClientPool>, address: TargetAddress): ClientPool {
  const key = keyOf(address);
  const known = pools.get(key);
  if (known) return known;
  const pool: ClientPool = new ClientPool(() => {
    // A pool that was trimmed away comes back with its first connection.
    pools.set(key, pool);
    return openClient(address);
  }, POOL_LIMITS);
  return pool;
}

function trim(pools: Map<string, ClientPool>): void {
  for (const [key, pool] of pools) {
    pool.trim();
    if (pool.isEmpty) pools.delete(key);
  }
}

function buildOptions(request: UpstreamRequest, call: Call): Dispatcher.DispatchOptions {
  const headers = [...request.headers];
  const { body } = request;
  const isSource = body !== undefined && !(body instanceof Uint8Array);
  if (isSource && body.length !== undefined) headers.push('content-length', String(body.length));
  return {
    method: request.method as Dispatcher.HttpMethod,
    path: request.target,
    headers,
    body: isSource ? toReadable(body, call) : (body ?? null),
    headersTimeout: request.responseMs,
    bodyTimeout: request.idleMs,
  };
}

function toReadable(source: BodySource, call: Call): Readable {
  let hasStarted = false;
  const stream: Readable = new Readable({
    read() {
      if (hasStarted) {
        source.resume();
        return;
      }
      hasStarted = true;
      source.start({
        write: (chunk) => stream.push(chunk),
        end: () => {
          stream.push(null);
        },
        fail: (error) => {
          call.hasBodyFailed = true;
          stream.destroy(error);
        },
      });
    },
  });
  // The error reaches the handler through undici; a stream without a listener would bring the process down.
  stream.on('error', () => undefined);
  return stream;
}

/** Is one try; the methods that undici calls are those of its dispatch handler. */
class Call implements UpstreamCall {
  readonly #handler: UpstreamHandler;
  readonly #pool: ClientPool;
  readonly #request: UpstreamRequest;
  hasBodyFailed = false;
  #client: Client | undefined;
  #abort: ((reason?: Error) => void) | undefined;
  #resume: (() => void) | undefined;
  #wasSent = false;
  #hasHead = false;
  #isOver = false;

  constructor(handler: UpstreamHandler, pool: ClientPool, request: UpstreamRequest) {
    this.#handler = handler;
    this.#pool = pool;
    this.#request = request;
  }

  start(): void {
    const isAccepted = this.#pool.borrow((client) => this.#dispatch(client));
    if (!isAccepted) queueMicrotask(() => this.onError(new Error('too many requests wait for a connection')));
  }

  #dispatch(client: Client): void {
    if (this.#isOver) {
      this.#pool.giveBack(client);
      return;
    }
    this.#client = client;
    client.dispatch(buildOptions(this.#request, this), this as Dispatcher.DispatchHandler);
  }

  #giveBack(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client) this.#pool.giveBack(client);
  }

  resume(): void {
    this.#resume?.();
  }

  abort(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#abort?.();
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort;
    if (this.#isOver) abort();
    else this.#wasSent = true;
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], resume: () => void): boolean {
    // 1xx are no answer; relaying them is the business of an engine that owns the wire.
    if (status < 200 || this.#isOver) return true;
    this.#resume = resume;
    if (rawHeaders.length > 2 * MAX_HEADER_LINES) {
      this.#fail('invalid-response', new Error('too many response header lines'));
      this.#abort?.();
      return true;
    }
    this.#hasHead = true;
    this.#handler.onHead(
      status,
      rawHeaders.map((part) => part.toString('latin1')),
    );
    // The head is all of it. Undici takes a Content-Length, which a 304 may well have, for a body that is missing.
    if (status === 204 || status === 304) this.#end();
    return true;
  }

  onData(chunk: Buffer): boolean {
    return this.#isOver || this.#handler.onChunk(chunk);
  }

  onComplete(): void {
    this.#giveBack();
    this.#end();
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handler.onEnd();
  }

  onError(error: Error & { readonly code?: string }): void {
    // Not in this turn: undici is still clearing the client's queue, and would find the next request in it.
    queueMicrotask(() => this.#giveBack());
    this.#fail(this.#failureOf(error.code ?? '', error.name), error);
  }

  #fail(failure: UpstreamFailure, cause: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    // Undici does not tell whether the connection was reused; taking it as reused never blames a healthy target.
    this.#handler.onError(failure, cause, this.#wasSent);
  }

  #failureOf(code: string, name: string): UpstreamFailure {
    if (this.hasBodyFailed) return 'request-aborted';
    if (code === 'UND_ERR_CONNECT_TIMEOUT') return 'connect-timeout';
    // What a plugin made cannot be written as HTTP: no target is to blame, and no other will do better.
    if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return 'invalid-request';
    if (!this.#wasSent) return 'connect-failed';
    if (code === 'UND_ERR_HEADERS_TIMEOUT') return 'response-timeout';
    if (code === 'UND_ERR_BODY_TIMEOUT') return 'idle-timeout';
    if (name === 'HTTPParserError' || code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW') {
      return this.#hasHead ? 'broken-response' : 'invalid-response';
    }
    return this.#hasHead ? 'broken-response' : 'reset-before-response';
  }
}
