// Sends requests to targets over undici, by its dispatch interface.
// Must not retry, redirect or decode: one try, bytes as they are.
import { Readable } from 'node:stream';
import { type Dispatcher, Pool } from 'undici';
import type {
  BodySource,
  TargetAddress,
  UpstreamCall,
  UpstreamClient,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from '../core/ports.ts';

/** Most connections to one target. */
const MAX_CONNECTIONS = 512;
/** Most requests that wait for a connection to one target; more would only grow old. */
const MAX_WAITING = 1024;
/** How long an idle connection is kept, unless the target says less. */
const KEEP_ALIVE_MS = 30_000;
/** Largest response head. */
const MAX_HEAD_BYTES = 64 * 1024;
/** Most response header lines. */
const MAX_HEADER_LINES = 500;
/** How often pools that were not used since the last look are closed. */
const SWEEP_MS = 120_000;

interface Slot {
  readonly pool: Pool;
  wasUsed: boolean;
}

/** Makes a client with one pool of kept-alive connections per address. */
export function createUndiciClient(): UpstreamClient {
  const slots = new Map<string, Slot>();
  const sweeper = setInterval(() => sweep(slots), SWEEP_MS);
  sweeper.unref();
  return {
    send(address, request, handler) {
      const key = `${address.protocol} ${address.host} ${address.port} ${address.connectMs} ${address.tls?.verify} ${address.tls?.serverName}`;
      let slot = slots.get(key);
      if (!slot) {
        slot = { pool: openPool(address), wasUsed: true };
        slots.set(key, slot);
      }
      slot.wasUsed = true;
      const call = new Call(handler);
      if (slot.pool.stats.queued >= MAX_WAITING) {
        queueMicrotask(() => call.onError(new Error('too many requests wait for a connection')));
        return call;
      }
      slot.pool.dispatch(buildOptions(request, call), call as Dispatcher.DispatchHandler);
      return call;
    },
    async close() {
      clearInterval(sweeper);
      await Promise.all([...slots.values()].map(({ pool }) => pool.destroy()));
    },
  };
}

function openPool(address: TargetAddress): Pool {
  const host = address.host.includes(':') ? `[${address.host}]` : address.host;
  return new Pool(`${address.protocol}://${host}:${address.port}`, {
    connections: MAX_CONNECTIONS,
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

function sweep(slots: Map<string, Slot>): void {
  for (const [key, slot] of slots) {
    if (!slot.wasUsed && slot.pool.stats.running + slot.pool.stats.queued === 0) {
      slots.delete(key);
      slot.pool.close().catch(() => undefined);
    }
    slot.wasUsed = false;
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
  hasBodyFailed = false;
  #abort: ((reason?: Error) => void) | undefined;
  #resume: (() => void) | undefined;
  #wasSent = false;
  #hasHead = false;
  #isOver = false;

  constructor(handler: UpstreamHandler) {
    this.#handler = handler;
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
    return true;
  }

  onData(chunk: Buffer): boolean {
    return this.#isOver || this.#handler.onChunk(chunk);
  }

  onComplete(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#handler.onEnd();
  }

  onError(error: Error & { readonly code?: string }): void {
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
    if (!this.#wasSent) return 'connect-failed';
    if (code === 'UND_ERR_HEADERS_TIMEOUT') return 'response-timeout';
    if (code === 'UND_ERR_BODY_TIMEOUT') return 'idle-timeout';
    if (name === 'HTTPParserError' || code.startsWith('HPE_') || code === 'UND_ERR_HEADERS_OVERFLOW') {
      return this.#hasHead ? 'broken-response' : 'invalid-response';
    }
    return this.#hasHead ? 'broken-response' : 'reset-before-response';
  }
}
