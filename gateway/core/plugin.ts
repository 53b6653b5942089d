// The plugin contract: all that a plugin author sees, published as `sallyport/plugin`.
// Must not grow an operation that could not also be a message to another process.
import type { KeyValues, Secrets } from './lending/memory.ts';
import type { Consumer, Credential } from './model.ts';

export { type ErrorCode, GatewayError, type GatewayErrorOptions } from './errors.ts';
export { buildQueryPart, type QueryPart, readQuery, writeQuery } from './exchange/query.ts';
export { readJson } from './json.ts';
export type { KeyValues, Secrets } from './lending/memory.ts';
export type { Consumer, Credential } from './model.ts';

/** Version of this contract; a manifest names the range it needs in `engines.gateway`. */
export const CONTRACT_VERSION = '1.2.0';

/** Orders plugins, outermost first. */
export type Stage = 'observe' | 'protect' | 'authenticate' | 'authorize' | 'limit' | 'transform' | 'route';

/** Is a value or a promise of it. A hook that returns no promise costs no promise. */
export type MaybePromise<T> = T | Promise<T>;

/** Reads and changes header fields. Names are case-insensitive; values are never joined behind the author's back. */
export interface HeaderFields {
  /** Gives the first value of a field, or undefined. */
  get(name: string): string | undefined;
  /** Gives every value of a field in the order received. */
  getAll(name: string): readonly string[];
  has(name: string): boolean;
  /**
   * Replaces every value of a field. Framing and connection fields (Content-Length, Connection, ...) are the gateway's
   * affair: setting one has no effect. @throws TypeError when name or value is not a legal field (CR, LF, NUL, non-Latin-1).
   */
  set(name: string, value: string): void;
  /** Adds one more field line. @throws TypeError as `set`. */
  append(name: string, value: string): void;
  delete(name: string): void;
  /** Gives [lower-case name, value] pairs in order. */
  entries(): readonly (readonly [string, string])[];
}

/** Is what the client asked for; changes here are what the upstream gets. */
export interface ExchangeRequest {
  readonly method: string;
  /** Host as the client sent it, lower case, without port. */
  readonly host: string;
  /** Canonical path, percent-encoded, the same that the router saw. Setting it changes what goes upstream (checked again). */
  path: string;
  /** Query without `?`, as sent; empty when absent. */
  query: string;
  readonly headers: HeaderFields;
  /** Says whether the request carries a body (also of length 0 when chunked). */
  readonly hasBody: boolean;
  /**
   * Collects the body; may be called again, but not for the first time when the request went upstream. The bytes still go
   * upstream. @throws BODY_TOO_LARGE past maxBytes (default 1 MiB), and then the request cannot go on.
   */
  readBody(maxBytes?: number): Promise<Uint8Array>;
  /** Replaces the body that goes upstream; content-length follows. The bytes are sent later, and must not be changed any more. */
  setBody(body: Uint8Array): void;
}

/** Is what the client will get; set from the response head on. */
export interface ExchangeResponse {
  status: number;
  readonly headers: HeaderFields;
  /** Says who made it: `upstream`, or the gateway and its plugins. */
  readonly source: 'upstream' | 'gateway';
}

/** Is who called and how that was proved. */
export interface Identity {
  readonly consumer: Consumer;
  readonly credential: Credential;
}

/** Finds who owns a credential. */
export interface CredentialFinder {
  /**
   * Finds by the credential's lookup value (see `Credential.lookup`). Known and recently used ones are found without a
   * promise. @throws CANNOT_VERIFY when the answer is unknown because the control plane is out of reach.
   */
  findByCredential(type: string, lookup: string): MaybePromise<Identity | undefined>;
}

/** Is a client's certificate that the api accepts. */
export interface ClientCertificate {
  /** Distinguished name on one line, such as `O=Example, CN=alice`. */
  readonly subject: string;
  readonly issuer: string;
  /** Upper-case hex. */
  readonly serial: string;
  /** SHA-256 of the certificate, upper-case hex with colons. */
  readonly fingerprint256: string;
  /** Each as `type:value`: `DNS:a.example`, `URI:spiffe://a/b`, `email:a@b.example`. */
  readonly subjectAltNames: readonly string[];
  /** RFC 3339. */
  readonly notAfter: string;
}

/** Tells how an exchange went; complete when `onLog` runs. Times are milliseconds. */
export interface ExchangeOutcome {
  readonly startedAt: number;
  /** From the request head read to the response finished. */
  readonly totalMs: number;
  /** Spent waiting for the upstream's response head; undefined when none was asked. */
  readonly upstreamMs: number | undefined;
  readonly requestBytes: number;
  readonly responseBytes: number;
  /** host:port that answered. */
  readonly target: string | undefined;
  readonly tries: number;
  /** Code of the error that ended it. */
  readonly errorCode: string | undefined;
  /** False when either side broke off before the response was whole. */
  readonly isComplete: boolean;
}

/** Is one request with its response, as a plugin sees it. */
export interface Exchange {
  /** Request id, unique; goes upstream as X-Request-Id. Setting it @throws TypeError unless it is visible ASCII. */
  id: string;
  readonly httpVersion: string;
  readonly api: { readonly id: string; readonly name: string };
  readonly route: { readonly id: string; readonly name: string };
  /** The client after trusted proxies are taken off. */
  readonly client: {
    readonly ip: string;
    readonly scheme: 'http' | 'https';
    /** Only where the api asks for certificates: one that it accepts. Proved by the handshake; who it is for you to say. */
    readonly certificate?: ClientCertificate;
  };
  readonly request: ExchangeRequest;
  /** Undefined until a response head exists. */
  readonly response: ExchangeResponse | undefined;
  readonly consumer: Consumer | undefined;
  readonly credential: Credential | undefined;
  readonly consumers: CredentialFinder;
  readonly outcome: ExchangeOutcome;
  /** Notes that plugins leave for one another; keys start with the plugin's name. */
  readonly state: Map<string, unknown>;
  /** Says who calls. Only in stage authenticate. */
  identify(identity: Identity): void;
  /** Answers instead of the upstream and ends the walk. In `onResponse` it replaces the response. */
  respond(status: number, headers?: Readonly<Record<string, string>>, body?: string | Uint8Array): void;
}

/** Counts up. */
export interface Counter {
  add(amount: number): void;
}

/** Collects observations in fixed buckets. */
export interface Histogram {
  observe(value: number): void;
}

/** Is a family of series; `series` gives the one with these label values (bounded: past 10 000 they share `other`). */
export interface MetricFamily<Series> {
  series(...labelValues: readonly string[]): Series;
}

/** Makes metrics; the same name twice gives the same family. Names follow the Prometheus conventions. */
export interface Metrics {
  counter(name: string, help: string, labelNames: readonly string[]): MetricFamily<Counter>;
  histogram(
    name: string,
    help: string,
    labelNames: readonly string[],
    buckets: readonly number[],
  ): MetricFamily<Histogram>;
}

/** Writes structured log lines of the gateway's own log. Never pass a secret. */
export interface Logger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Gives time. Durations come from `monotonicMs` alone: the wall clock jumps. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  wallMs(): number;
  /** Milliseconds since an arbitrary point, the same for all processes of this machine. */
  monotonicMs(): number;
}

/** Allows `requests` in any window of `windowMs`. */
export interface LimitWindow {
  readonly requests: number;
  readonly windowMs: number;
}

/** Answers one take from a limit. */
export interface LimitVerdict {
  readonly isAllowed: boolean;
  /** Index of the window that decides: the one that refuses, else the one with the least left. */
  readonly window: number;
  /** Requests left in that window; 0 when refused. */
  readonly remaining: number;
  /** Until a request is allowed again (refused) or the deciding window is whole again (allowed). Milliseconds. */
  readonly resetMs: number;
}

/** Keeps sliding-window limits, exact over all workers of a node. */
export interface Limiter {
  /** Takes one request for `key`: allowed only when every window has room, and then counted in all of them. */
  take(key: string): MaybePromise<LimitVerdict>;
}

/** Says where the counts of a limiter live: in this node, or shared by all nodes. */
export type LimitStore = 'local' | 'redis' | 'postgres';

/** Makes a limiter. `name` keeps the keys of two limiters apart and their counts over a change of configuration. */
export interface Limits {
  limiter(options: {
    readonly name: string;
    readonly windows: readonly LimitWindow[];
    readonly store: LimitStore;
  }): Limiter;
}

/** Answers `Host.fetch`. The body is bounded by `maxBytes`. */
export interface FetchResult {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Bounds `Host.fetch`. Defaults: GET, 5 s, 1 MiB. Redirects are never followed. */
export interface FetchOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
}

/** Is what the gateway lends a binding at set-up. */
export interface Host {
  readonly binding: { readonly id: string; readonly plugin: string; readonly name: string | undefined };
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly limits: Limits;
  readonly secrets: Secrets;
  readonly kv: KeyValues;
  fetch(url: string, options?: FetchOptions): Promise<FetchResult>;
  /** Runs `callback` when the operator asks to reopen files (SIGHUP). */
  onReopen(callback: () => void): void;
}

/**
 * Is a plugin: hooks, each optional. `State` is what `setup` returns; every hook gets it last.
 * A hook may throw `GatewayError` to end the request with that answer; any other throw is a failure and the manifest's
 * fail policy decides. Hooks of the request run outermost first, hooks of the response in reverse.
 */
export interface Plugin<Config, State = undefined> {
  /** Runs once per binding and configuration: compile here, never per request. A throw refuses the revision. */
  setup?(config: Config, host: Host): MaybePromise<State>;
  /** Runs before a target is chosen. */
  onRequest?(exchange: Exchange, config: Config, state: State): MaybePromise<void>;
  /**
   * Sees each chunk on its way upstream: give bytes to replace it, null to drop it, undefined to leave it. The last call
   * has `last` true and may bring an empty chunk. A promise holds the body back until it settles; chunks never overtake
   * each other. A chunk is the hook's to keep; bytes that it gives are sent later, and must not be changed any more.
   */
  onRequestChunk?(
    chunk: Uint8Array,
    last: boolean,
    exchange: Exchange,
    config: Config,
    state: State,
  ): MaybePromise<Uint8Array | null | undefined>;
  /** Runs when the request is about to go to a target; once, not per try. */
  onUpstreamRequest?(exchange: Exchange, config: Config, state: State): MaybePromise<void>;
  /** Runs when a response head exists, also for answers that the gateway or a plugin made. */
  onResponse?(exchange: Exchange, config: Config, state: State): MaybePromise<void>;
  /** As `onRequestChunk`, on the way to the client. */
  onResponseChunk?(
    chunk: Uint8Array,
    last: boolean,
    exchange: Exchange,
    config: Config,
    state: State,
  ): MaybePromise<Uint8Array | null | undefined>;
  /** Runs always, after the response ended or broke off. Must not wait. */
  onLog?(exchange: Exchange, config: Config, state: State): void;
  /** Runs when the last request that uses this set-up has ended. */
  close?(state: State): MaybePromise<void>;
}

/** Gives the plugin back with its types inferred; a plugin module exports it as `plugin`. */
export function definePlugin<Config, State = undefined>(plugin: Plugin<Config, State>): Plugin<Config, State> {
  return plugin;
}
