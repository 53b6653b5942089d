// What a mode lends the core: the wire on both sides, time, limits, identities, logs, metrics.
// Must not hold an implementation.
import type { X509Certificate } from 'node:crypto';
import type { UpstreamProtocol } from './model.ts';
import type {
  ClientCertificate,
  Clock,
  CredentialFinder,
  Exchange,
  FetchOptions,
  FetchResult,
  HeaderFields,
  Limits,
  Logger,
  Metrics,
} from './plugin.ts';

export type { UpstreamProtocol } from './model.ts';
export type { Clock, CredentialFinder, Limits, Logger, Metrics } from './plugin.ts';

/** Takes a body, chunk by chunk. */
export interface BodySink {
  /** Gives false when the source should pause until the sink calls `resume` on it. */
  write(chunk: Uint8Array): boolean;
  /** `trailers`: name, value, name, value ... as sent; undefined = none came. */
  end(trailers?: readonly string[]): void;
  /** Ends early: the peer broke off or the body is malformed; a `GatewayError` says what to answer. */
  fail(error: Error): void;
}

/** Is a body that flows only after `start`. */
export interface BodySource {
  /** Bytes by Content-Length, or undefined when the length is unknown (chunked). */
  readonly length: number | undefined;
  /** Bytes given to the sink so far. */
  readonly bytesRead: number;
  /** The sender waits for leave to send, which `start` gives. @see RFC 9110 section 10.1.1 */
  readonly expectsContinue: boolean;
  start(sink: BodySink): void;
  pause(): void;
  resume(): void;
  /** Reads the rest within bounds and throws it away, or closes the connection. */
  discard(): void;
  /** Lifts the bounds on silence and slowness, where whoever forwards the body bounds the silence of both sides. */
  allowSilence?(): void;
}

/**
 * Is one side of an upgraded connection: bytes both ways, each half closed alone. The sink's `end` says that the peer closed
 * its half, its `fail` that the connection broke.
 */
export interface Tunnel {
  start(sink: BodySink): void;
  pause(): void;
  resume(): void;
  /** Gives false when the caller should wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  onDrain(callback: () => void): void;
  /** Closes our half. */
  end(): void;
  abort(): void;
}

/** Is what a handshake showed of a client; one for all requests of its connection. */
export interface TlsFacts {
  /** Name that the client asked for, lower case, without a dot at its end; undefined = none. */
  readonly serverName: string | undefined;
  /** What the client was asked for: `HandshakePolicy.id`; empty = nothing. */
  readonly policyId: string;
  /** Undefined = it showed none. */
  readonly peer: PeerCertificate | undefined;
}

/** Is a client's certificate, as it was shown. The key is proved; whose it is must be judged. */
export interface PeerCertificate {
  /** The certificate, then the issuer of each as far as it is known. Never empty. */
  readonly chain: readonly X509Certificate[];
  /** As plugins see it. */
  readonly certificate: ClientCertificate;
  /** Says whether the chain holds by the authorities of all apis of the host that was asked for. */
  readonly isTrusted: boolean;
  /** Remembers by bundle (PEM) until when an api with that bundle accepts it; -Infinity = never. */
  readonly acceptedUntilMs: Map<string, number>;
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
  /** Protocols that the client asks to switch to, as sent; undefined = none. @see RFC 9110 section 7.8 */
  readonly upgrade: string | undefined;
  readonly remoteAddress: string;
  readonly localPort: number;
  /** Undefined = in clear. */
  readonly tls: TlsFacts | undefined;
}

/** Writes one response. `headers` is name, value, name, value ...; framing headers are the listener's own affair. */
export interface OutgoingResponse {
  /** Sends a 1xx response before the final one; may be left out when the client is slow or speaks HTTP/1.0. */
  writeInformational(status: number, headers: readonly string[]): void;
  /** Writes the head. `bodyLength` undefined = unknown, 0 = no body. */
  writeHead(status: number, headers: readonly string[], bodyLength: number | undefined): void;
  /** Gives false when the caller should wait for `onDrain`. The chunk is lent until this returns. */
  write(chunk: Uint8Array): boolean;
  /** `trailers` are left out where the client did not say that it reads them. */
  end(trailers?: readonly string[]): void;
  /** Answers 101 in place of `writeHead` and gives the connection. Only when the request asks for an upgrade. */
  switchProtocols(headers: readonly string[]): Tunnel;
  /** Breaks the connection so that the client sees an aborted message, never a short one that looks whole. */
  abort(): void;
  /** Asks to close the connection after this response. Call before `writeHead`. */
  closeAfter(): void;
  onDrain(callback: () => void): void;
  /** Runs once, when the response was handed to the system whole (true) or the client left (false). */
  onClose(callback: (isComplete: boolean) => void): void;
  /** Takes up again what follows a response, where `onClose` was cut and did not return. */
  goOn?(): void;
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

/** Is how a target is spoken to over TLS. */
export interface TargetTls {
  /** Is the same where all the rest is the same. */
  readonly id: string;
  readonly verify: boolean;
  /** Name to ask for and to verify; the host when absent. */
  readonly serverName?: string;
  /** PEM: the only certificates to verify by; the usual authorities when absent. */
  readonly ca?: string;
  /** PEM: certificate and open private key to show. */
  readonly shown?: { readonly certificate: string; readonly privateKey: string };
}

/** Is where a try goes. The key of a connection pool is all of it; the same object is passed for the same address. */
export interface TargetAddress {
  readonly protocol: UpstreamProtocol;
  readonly host: string;
  readonly port: number;
  readonly connectMs: number;
  readonly tls: TargetTls | undefined;
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
  /** Monotonic milliseconds when the whole try must be over; absent = only the bounds above hold. */
  readonly deadlineMs?: number | undefined;
  /** Protocols to ask for; such a request has no body. */
  readonly upgrade?: string | undefined;
  /** Says that a kept-alive connection was closed under this request once: it wants one that carried nothing yet. */
  readonly isRetry?: boolean;
}

/** Says how far a try came before it failed: decides whether another try is safe. */
export type UpstreamFailure =
  | 'connect-failed'
  | 'connect-timeout'
  | 'reset-before-response'
  /** The connection had idled, and was closed before any of the request left. */
  | 'not-sent'
  /** The target said that it did not look at the request, and has no room for it. */
  | 'refused'
  | 'response-timeout'
  | 'idle-timeout'
  | 'deadline-exceeded'
  | 'broken-response'
  | 'invalid-response'
  | 'request-aborted'
  | 'invalid-request'
  | 'overloaded';

/**
 * Hears what a target answers. Calls come in this order: `onInformational`*, `onHead`, `onChunk`*, then `onEnd` or `onError`;
 * or `onUpgrade` in place of `onHead` and all that follows.
 */
export interface UpstreamHandler {
  /** A 1xx response but 100 and 101. */
  onInformational(status: number, rawHeaders: readonly string[]): void;
  /** The target switches protocols; what goes wrong from here on is told to the tunnel's sink. */
  onUpgrade(rawHeaders: readonly string[], tunnel: Tunnel): void;
  onHead(status: number, rawHeaders: readonly string[]): void;
  /** Gives false when the connection should pause until `resume`. The chunk is lent until this returns: who keeps it copies it. */
  onChunk(chunk: Uint8Array): boolean;
  onEnd(trailers?: readonly string[]): void;
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

/** Is one request that is being recorded. */
export interface Recording {
  /** Takes what the upstream answered, before a plugin sees it. */
  takeAnswer(status: number, headers: HeaderFields): void;
  /** Keeps the request as it came, with who called. */
  end(): void;
}

/** Records some requests of the apis that ask for it. */
export interface Recorder {
  /** Begins with a request that no plugin has seen yet; undefined = this one is not recorded. */
  begin(exchange: Exchange, perSecond: number): Recording | undefined;
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
  /** Absent = nothing is recorded. */
  readonly recorder?: Recorder;
  /** Registers a callback for SIGHUP; gives the function that takes it back. */
  onReopen(callback: () => void): () => void;
}
