// Every error the data plane answers with, in one table, and the one class that carries them.
// Must not know HTTP wire details, sinks or configuration.

/** Names every failure the gateway can answer with; `docs/errors.md` lists the same set. */
export type ErrorCode =
  | 'REQUEST_MALFORMED'
  | 'PATH_AMBIGUOUS'
  | 'HOST_INVALID'
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'CLIENT_CERTIFICATE_REFUSED'
  | 'ROUTE_NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'REQUEST_TIMEOUT'
  | 'BODY_TOO_LARGE'
  | 'URI_TOO_LONG'
  | 'MISDIRECTED_REQUEST'
  | 'BODY_INVALID'
  | 'EXPECTATION_FAILED'
  | 'HEADERS_TOO_LARGE'
  | 'HTTP_VERSION_UNSUPPORTED'
  | 'RATE_LIMITED'
  | 'INTERNAL'
  | 'PLUGIN_FAILED'
  | 'PLUGIN_TIMEOUT'
  | 'PLUGIN_QUARANTINED'
  | 'PLUGIN_UNAVAILABLE'
  | 'UPSTREAM_CONNECT_FAILED'
  | 'UPSTREAM_BROKEN'
  | 'UPSTREAM_INVALID_RESPONSE'
  | 'UPSTREAM_TIMEOUT'
  | 'NO_HEALTHY_TARGET'
  | 'CIRCUIT_OPEN'
  | 'CANNOT_VERIFY'
  | 'NOT_CONFIGURED';

/** Says who is to blame for an error: it decides the status, and who is paged. */
export type ErrorSource = 'client' | 'upstream' | 'gateway';

/** Describes one error code. `isRetryable` tells a client whether the same request may succeed later. */
export interface ErrorSpec {
  readonly status: number;
  readonly source: ErrorSource;
  readonly isRetryable: boolean;
  readonly title: string;
}

/** Holds the one table of errors: status, who is to blame, and the title clients read. @see RFC 9110 section 15 */
export const ERRORS: Readonly<Record<ErrorCode, ErrorSpec>> = {
  REQUEST_MALFORMED: { status: 400, source: 'client', isRetryable: false, title: 'The request is malformed' },
  PATH_AMBIGUOUS: { status: 400, source: 'client', isRetryable: false, title: 'The request path is ambiguous' },
  HOST_INVALID: { status: 400, source: 'client', isRetryable: false, title: 'The Host header is invalid' },
  UNAUTHENTICATED: { status: 401, source: 'client', isRetryable: false, title: 'Authentication is required' },
  FORBIDDEN: { status: 403, source: 'client', isRetryable: false, title: 'Access is denied' },
  CLIENT_CERTIFICATE_REFUSED: {
    status: 403,
    source: 'client',
    isRetryable: false,
    title: 'The client certificate is missing or not accepted',
  },
  ROUTE_NOT_FOUND: { status: 404, source: 'client', isRetryable: false, title: 'No route matches the request' },
  METHOD_NOT_ALLOWED: { status: 405, source: 'client', isRetryable: false, title: 'The method is not allowed' },
  REQUEST_TIMEOUT: { status: 408, source: 'client', isRetryable: true, title: 'The request took too long to arrive' },
  BODY_TOO_LARGE: { status: 413, source: 'client', isRetryable: false, title: 'The request body is too large' },
  URI_TOO_LONG: { status: 414, source: 'client', isRetryable: false, title: 'The request target is too long' },
  MISDIRECTED_REQUEST: {
    status: 421,
    source: 'client',
    isRetryable: true,
    title: 'The connection is for another host',
  },
  BODY_INVALID: { status: 400, source: 'client', isRetryable: false, title: 'The request body is invalid' },
  EXPECTATION_FAILED: { status: 417, source: 'client', isRetryable: false, title: 'The expectation cannot be met' },
  HEADERS_TOO_LARGE: { status: 431, source: 'client', isRetryable: false, title: 'The request headers are too large' },
  RATE_LIMITED: { status: 429, source: 'client', isRetryable: true, title: 'The rate limit is exceeded' },
  HTTP_VERSION_UNSUPPORTED: {
    status: 505,
    source: 'client',
    isRetryable: false,
    title: 'The HTTP version is not supported',
  },
  INTERNAL: { status: 500, source: 'gateway', isRetryable: false, title: 'The gateway failed' },
  PLUGIN_FAILED: { status: 500, source: 'gateway', isRetryable: false, title: 'A plugin failed' },
  PLUGIN_TIMEOUT: { status: 503, source: 'gateway', isRetryable: true, title: 'A plugin took too long' },
  PLUGIN_QUARANTINED: { status: 503, source: 'gateway', isRetryable: true, title: 'A plugin is set aside' },
  PLUGIN_UNAVAILABLE: { status: 503, source: 'gateway', isRetryable: true, title: 'A plugin does not run here' },
  UPSTREAM_CONNECT_FAILED: { status: 502, source: 'upstream', isRetryable: true, title: 'The upstream is unreachable' },
  UPSTREAM_BROKEN: { status: 502, source: 'upstream', isRetryable: true, title: 'The upstream broke off' },
  UPSTREAM_INVALID_RESPONSE: {
    status: 502,
    source: 'upstream',
    isRetryable: false,
    title: 'The upstream sent an invalid response',
  },
  UPSTREAM_TIMEOUT: { status: 504, source: 'upstream', isRetryable: true, title: 'The upstream took too long' },
  NO_HEALTHY_TARGET: { status: 503, source: 'upstream', isRetryable: true, title: 'No healthy target' },
  CIRCUIT_OPEN: { status: 503, source: 'upstream', isRetryable: true, title: 'The circuit is open' },
  CANNOT_VERIFY: { status: 503, source: 'gateway', isRetryable: true, title: 'The gateway cannot verify right now' },
  NOT_CONFIGURED: { status: 503, source: 'gateway', isRetryable: true, title: 'The gateway has no configuration yet' },
};

/** Carries extra facts of a `GatewayError`; `headers` go to the client in lower case. */
export interface GatewayErrorOptions {
  readonly cause?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Ends a request with a coded answer. `detail` is shown to the client: it must hold no secret, host or upstream text.
 *
 * @example throw new GatewayError('UNAUTHENTICATED', 'send a key in apikey');
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(code: ErrorCode, detail: string, options?: GatewayErrorOptions) {
    super(detail, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = ERRORS[code].status;
    this.headers = options?.headers;
  }
}

/** Names one fault in a document: where (JSON pointer), which (code) and what was expected (message). @see RFC 6901 */
export interface Problem {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/** Refuses a configuration whole. `problems` is never empty. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map((problem) => `${problem.pointer}: ${problem.message}`).join('; '));
    this.problems = problems;
  }
}
