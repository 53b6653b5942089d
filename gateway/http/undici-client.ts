// Sends requests to targets over undici, by its dispatch interface.
// Must not retry, redirect or decode: one try, bytes as they are.
import { Client, type Dispatcher } from 'undici';
import type {
  TargetAddress,
  UpstreamCall,
  UpstreamClient,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from '../core/ports.ts';
import { ClientPool, type PooledClient, type PoolLimits } from './client-pool.ts';
import { type BodyListener, toReadable } from './upstream-body.ts';

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
      const call = new Call(handler, pool, request, address.connectMs);
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
    // Undici's clock ticks twice a second, and counts a client's slowness as the target's: `Call` keeps the time.
    headersTimeout: 0,
    bodyTimeout: 0,
  };
}

/** Is one try; the methods that undici calls are those of its dispatch handler. */
class Call implements UpstreamCall, BodyListener {
  readonly #handler: UpstreamHandler;
  readonly #pool: ClientPool;
  readonly #request: UpstreamRequest;
  readonly #connectMs: number;
  readonly #use = (pooled: PooledClient): void => this.#dispatch(pooled);
  #pooled: PooledClient | undefined;
  #timer: NodeJS.Timeout | undefined;
  #abort: ((reason?: Error) => void) | undefined;
  #resume: (() => void) | undefined;
  #wasSent = false;
  #wasReused = false;
  #hasHead = false;
  #hasBodyFailed = false;
  /** Says that the client has to send or to read: the target is not to blame for the silence. */
  #isClientsTurn = false;
  #isOver = false;

  constructor(handler: UpstreamHandler, pool: ClientPool, request: UpstreamRequest, connectMs: number) {
    this.#handler = handler;
    this.#pool = pool;
    this.#request = request;
    this.#connectMs = connectMs;
  }

  start(): void {
    if (this.#pool.borrow(this.#use, this.#request.isRetry ?? false)) return;
    queueMicrotask(() => this.#fail('overloaded', new Error('too many requests wait for a connection')));
  }

  #dispatch(pooled: PooledClient): void {
    this.#pooled = pooled;
    // An open connection takes the request at once, and its time is the target's to answer.
    if (!pooled.isUsed) this.#startTimer(this.#connectMs);
    pooled.client.dispatch(buildOptions(this.#request, this), this as Dispatcher.DispatchHandler);
  }

  #giveBack(): void {
    const pooled = this.#pooled;
    this.#pooled = undefined;
    if (pooled) this.#pool.giveBack(pooled);
  }

  resume(): void {
    this.#isClientsTurn = false;
    this.#timer?.refresh();
    this.#resume?.();
  }

  abort(): void {
    if (this.#isOver) return;
    this.#close();
    this.#pool.cancel(this.#use);
    this.#abort?.();
  }

  onProgress(isAwaited: boolean): void {
    if (this.#hasHead) return;
    this.#isClientsTurn = isAwaited;
    this.#timer?.refresh();
  }

  onFailure(): void {
    this.#hasBodyFailed = true;
  }

  onConnect(abort: (reason?: Error) => void): void {
    this.#abort = abort;
    if (this.#isOver) {
      abort();
      return;
    }
    this.#wasSent = true;
    this.#wasReused = this.#pooled?.isUsed ?? false;
    this.#startTimer(this.#request.responseMs);
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
    this.#isClientsTurn = false;
    this.#startTimer(this.#request.idleMs);
    this.#handler.onHead(
      status,
      rawHeaders.map((part) => part.toString('latin1')),
    );
    // The head is all of it. Undici takes a Content-Length, which a 304 may well have, for a body that is missing.
    if (status === 204 || status === 304) this.#end();
    return true;
  }

  onData(chunk: Buffer): boolean {
    if (this.#isOver) return true;
    this.#timer?.refresh();
    const mayGoOn = this.#handler.onChunk(chunk);
    if (!mayGoOn) this.#isClientsTurn = true;
    return mayGoOn;
  }

  onComplete(): void {
    if (this.#pooled) this.#pooled.isUsed = true;
    this.#giveBack();
    this.#end();
  }

  onError(error: Error & { readonly code?: string }): void {
    // Not in this turn: undici is still clearing the client's queue, and would find the next request in it.
    queueMicrotask(() => this.#giveBack());
    this.#fail(this.#failureOf(error.code ?? '', error.name), error);
  }

  #end(): void {
    if (this.#isOver) return;
    this.#close();
    this.#handler.onEnd();
  }

  #fail(failure: UpstreamFailure, cause: Error): void {
    if (this.#isOver) return;
    this.#close();
    this.#handler.onError(failure, cause, this.#wasReused);
  }

  #close(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #startTimer(timeoutMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(expireCall, timeoutMs, this);
  }

  /** Ends the try: its time is over, unless the silence was the client's. */
  expire(): void {
    if (this.#isClientsTurn) {
      this.#timer?.refresh();
      return;
    }
    this.#fail(this.#timeoutFailure(), new Error('the time is over'));
    this.#abort?.();
  }

  #timeoutFailure(): UpstreamFailure {
    if (!this.#wasSent) return 'connect-timeout';
    return this.#hasHead ? 'idle-timeout' : 'response-timeout';
  }

  #failureOf(code: string, name: string): UpstreamFailure {
    if (this.#hasBodyFailed) return 'request-aborted';
    if (code === 'UND_ERR_CONNECT_TIMEOUT') return 'connect-timeout';
    // What a plugin made cannot be written as HTTP: no target is to blame, and no other will do better.
    if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') return 'invalid-request';
    if (!this.#wasSent) return 'connect-failed';
    if (name === 'HTTPParserError' || code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW') {
      return this.#hasHead ? 'broken-response' : 'invalid-response';
    }
    return this.#hasHead ? 'broken-response' : 'reset-before-response';
  }
}

// One function for all: a closure per request would cost on every one.
function expireCall(call: Call): void {
  call.expire();
}
