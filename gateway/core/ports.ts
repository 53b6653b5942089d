// What a mode lends the core: the wire on both sides, time, limits, identities, logs, metrics.
// Must not hold an implementation.
import type { Clock, CredentialFinder, FetchOptions, FetchResult, Limits, Logger, Metrics } from './plugin.ts';

export type { Clock, CredentialFinder, Limits, Logger, Metrics } from './plugin.ts';

/** Takes a body, chunk by chunk. */
export interface BodySink {
  /** Gives false when the source should pause until the sink calls `resume` on it. */
  write(chunk: Uint8Array): boolean;
  end(): void;
  /** Ends early: the peer broke off or the body is malformed; a `GatewayError` says what to answer. */
  fail(error: Error): void;
}

/** Is a body that flows only after `start`. */
export interface BodySource {
  /** Bytes by Content-Length, or undefined when the length is unknown (chunked). */
  readonly length: number | undefined;
  /** Bytes given to the sink so far. */
  readonly bytesRead: number;
  start(sink: BodySink): void;
  pause(): void;
  resume(): void;
  /** Reads the rest within bounds and throws it away, or closes the connection. */
  discard(): void;
}

/** Is one request as a listener read it: the grammar is checked, nothing is interpreted. */
export interface IncomingRequest {
  readonly method: string;
  /** Request target as sent. */
  readonly target: string;
  readonly httpVersion: string;
  /** name, value, name, value ... as sent. */
  readonly rawHeaders: readonly string[];
  readonly body: BodySource | undefined;
  readonly remoteAddress: string;
  readonly localPort: number;
  readonly isTls: boolean;
}

/** Writes one response. `headers` is name, value, name, value ...; framing headers are the listener's own affair. */
export interface OutgoingResponse {
  /** Writes the head. `bodyLength` undefined = unknown, 0 = no body. */
  writeHead(status: number, headers: readonly string[], bodyLength: number | undefined): void;
  /** Gives false when the caller should wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  end(): void;
  /** Breaks the connection so that the client sees an aborted message, never a short one that looks whole. */
  abort(): void;
  /** Asks to close the connection after this response. Call before `writeHead`. */
  closeAfter(): void;
  onDrain(callback: () => void): void;
  /** Runs once, when the response was handed to the system whole (true) or the client left (false). */
  onClose(callback: (isComplete: boolean) => void): void;
}

/** Is called by a listener for each request. Must not throw. */
export type RequestHandler = (request: IncomingRequest, response: OutgoingResponse) => void;

/** Accepts clients. One listener = one address. */
export interface Listener {
  listen(): Promise<{ readonly host: string; readonly port: number }>;
  /** Stops accepting, closes idle connections, lets the rest finish; resolves when none is left. */
  drain(): Promise<void>;
  /** Closes everything now. */
  close(): Promise<void>;
}

/** Is where a try goes. The key of a connection pool is all of it; the same object is passed for the same address. */
export interface TargetAddress {
  readonly protocol: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly connectMs: number;
  readonly tls: { readonly verify: boolean; readonly serverName?: string } | undefined;
}

/** Is a request as it goes to a target: written anew from parsed parts. */
export interface UpstreamRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: readonly string[];
  /** Undefined = no body; bytes can be replayed, a source cannot. */
  readonly body: Uint8Array | BodySource | undefined;
  readonly responseMs: number;
  readonly idleMs: number;
  /** Says that a kept-alive connection was closed under this request once: it wants one that carried nothing yet. */
  readonly isRetry?: boolean;
}

/** Says how far a try came before it failed: decides whether another try is safe. */
export type UpstreamFailure =
  | 'connect-failed'
  | 'connect-timeout'
  | 'reset-before-response'
  | 'response-timeout'
  | 'idle-timeout'
  | 'broken-response'
  | 'invalid-response'
  | 'request-aborted'
  | 'invalid-request'
  | 'overloaded';

/** Hears what a target answers. Calls come in this order: `onHead`, `onChunk`*, then `onEnd` or `onError`. */
export interface UpstreamHandler {
  onHead(status: number, rawHeaders: readonly string[]): void;
  /** Gives false when the connection should pause until `resume`. */
  onChunk(chunk: Uint8Array): boolean;
  onEnd(): void;
  /** `wasReused`: the failure hit a kept-alive connection that may have been closed before the request came. */
  onError(failure: UpstreamFailure, cause: Error, wasReused: boolean): void;
}

/** Is one try in flight. */
export interface UpstreamCall {
  resume(): void;
  /** Closes the connection; no further call to the handler. */
  abort(): void;
}

/** Sends requests to targets over kept-alive connections. */
export interface UpstreamClient {
  send(address: TargetAddress, request: UpstreamRequest, handler: UpstreamHandler): UpstreamCall;
  close(): Promise<void>;
}

/** Is everything the core needs from the mode that runs it. */
export interface Ports {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limits: Limits;
  readonly consumers: CredentialFinder;
  readonly upstream: UpstreamClient;
  /** Random request ids: 32 lower-case hex digits or any unique token. */
  nextId(): string;
  fetch(url: string, options?: FetchOptions): Promise<FetchResult>;
  /** Registers a callback for SIGHUP; gives the function that takes it back. */
  onReopen(callback: () => void): () => void;
}
