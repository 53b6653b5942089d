// Both sides of the wire, made of memory: a client that sends one request, an upstream that answers it.
// Must not decide what a request or a response means: that is the core's.
import { Headers } from '../core/exchange/headers.ts';
import type { HeaderFields } from '../core/plugin.ts';
import type {
  BodySource,
  IncomingRequest,
  OutgoingResponse,
  UpstreamClient,
  UpstreamFailure,
  UpstreamHandler,
  UpstreamRequest,
} from '../core/ports.ts';
import {
  type BodyInput,
  buildHeaders,
  chunksOf,
  FAKE_CLIENT_IP,
  type HeaderInput,
  type RequestOptions,
} from './exchange.ts';

/** Is what the upstream got. */
export interface SentRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: HeaderFields;
  readonly body: string;
  readonly bytes: Uint8Array;
}

/** Is what the upstream answers: default 200, no headers, no body. `failure` instead of all of it: it breaks. */
export interface UpstreamAnswer {
  readonly status?: number;
  readonly headers?: HeaderInput;
  readonly body?: BodyInput;
  readonly failure?: UpstreamFailure;
}

/** Answers a request, at once or later. */
export type UpstreamScript = UpstreamAnswer | ((request: SentRequest) => UpstreamAnswer | Promise<UpstreamAnswer>);

/** Is what the client got. */
export interface ReceivedResponse {
  readonly status: number;
  readonly headers: HeaderFields;
  readonly bytes: Uint8Array;
}

/** Builds a request as a listener reads it. */
export function fakeIncoming(options: RequestOptions): IncomingRequest {
  const { method = 'GET', host = 'api.test', path = '/', query = '', httpVersion = '1.1', scheme = 'http' } = options;
  const rawHeaders = ['Host', host];
  buildHeaders(options.headers).writeTo(rawHeaders);
  return {
    method,
    target: query === '' ? path : `${path}?${query}`,
    httpVersion,
    rawHeaders,
    body: options.body === undefined ? undefined : fakeBody(options.body),
    remoteAddress: options.clientIp ?? FAKE_CLIENT_IP,
    localPort: scheme === 'https' ? 443 : 80,
    upgrade: undefined,
    tls: scheme === 'https' ? { serverName: undefined, policyId: '', peer: undefined } : undefined,
  };
}

function fakeBody(body: BodyInput): BodySource {
  const chunks = chunksOf(body);
  let bytesRead = 0;
  return {
    length: Buffer.concat(chunks).length,
    expectsContinue: false,
    get bytesRead() {
      return bytesRead;
    },
    start(sink) {
      for (const chunk of chunks) {
        bytesRead += chunk.length;
        sink.write(chunk);
      }
      sink.end();
    },
    pause() {},
    resume() {},
    discard() {},
  };
}

/** Builds the side that the client reads; `received` settles when the response has ended and the log hooks have run. */
export function fakeOutgoing(): { readonly outgoing: OutgoingResponse; readonly received: Promise<ReceivedResponse> } {
  const chunks: Uint8Array[] = [];
  const closeCallbacks: ((isComplete: boolean) => void)[] = [];
  const { promise: received, resolve } = withResolver<ReceivedResponse>();
  let status = 0;
  let headers = new Headers();
  const close = (isComplete: boolean): void => {
    for (const callback of closeCallbacks.splice(0)) callback(isComplete);
    resolve({ status, headers, bytes: Buffer.concat(chunks) });
  };
  const outgoing: OutgoingResponse = {
    writeInformational() {},
    switchProtocols() {
      throw new TypeError('the kit does not switch protocols');
    },
    writeHead(sentStatus, lines) {
      status = sentStatus;
      headers = readLines(lines);
    },
    write(chunk) {
      chunks.push(Buffer.from(chunk));
      return true;
    },
    end: () => close(true),
    abort: () => close(false),
    closeAfter() {},
    onDrain: (callback) => callback(),
    onClose: (callback) => void closeCallbacks.push(callback),
  };
  return { outgoing, received };
}

/** Builds an upstream that follows `script`; `onRequest` hears what it was sent. */
export function fakeUpstream(script: UpstreamScript, onRequest: (request: SentRequest) => void): UpstreamClient {
  return {
    send(_address, request, handler) {
      let isAborted = false;
      const answer = async (): Promise<void> => {
        const sent = await readSent(request);
        onRequest(sent);
        const given = typeof script === 'function' ? await script(sent) : script;
        if (!isAborted) play(given, handler);
      };
      answer().catch((cause: unknown) => handler.onError('broken-response', toError(cause), false));
      return {
        resume() {},
        abort() {
          isAborted = true;
        },
      };
    },
    async close() {},
  };
}

function play({ status = 200, headers, body, failure }: UpstreamAnswer, handler: UpstreamHandler): void {
  if (failure) {
    handler.onError(failure, new Error(`the fake upstream plays ${failure}`), false);
    return;
  }
  const lines: string[] = [];
  buildHeaders(headers).writeTo(lines);
  handler.onHead(status, lines);
  for (const chunk of chunksOf(body)) handler.onChunk(chunk);
  handler.onEnd();
}

async function readSent({ method, target, headers, body }: UpstreamRequest): Promise<SentRequest> {
  const bytes = body === undefined || body instanceof Uint8Array ? (body ?? new Uint8Array()) : await readAll(body);
  return { method, target, headers: readLines(headers), body: Buffer.from(bytes).toString(), bytes };
}

function readAll(body: BodySource): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    body.start({
      write: (chunk) => chunks.push(chunk) > 0,
      end: () => resolve(Buffer.concat(chunks)),
      fail: reject,
    });
  });
}

function readLines(lines: readonly string[]): Headers {
  const headers = new Headers();
  for (let at = 0; at < lines.length; at += 2) headers.append(lines[at] ?? '', lines[at + 1] ?? '');
  return headers;
}

function toError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause));
}

// Promise.withResolvers is not in Node 20.
function withResolver<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
