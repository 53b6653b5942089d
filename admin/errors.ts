// Every error the admin service answers with, in one table, and the one class that carries them.
// Must not know koa, SQL or the shape of an entity.
import type { Problem } from '../gateway/core/errors.ts';

/** Names every failure the admin service can answer with; `docs/errors.md` lists the same set. */
export type AdminErrorCode =
  | 'BODY_MALFORMED'
  | 'BODY_UNEXPECTED'
  | 'QUERY_INVALID'
  | 'TOKEN_INVALID'
  | 'ROLE_INSUFFICIENT'
  | 'HOST_REFUSED'
  | 'ORIGIN_REFUSED'
  | 'NAMESPACE_FOREIGN'
  | 'NOT_FOUND'
  | 'METHOD_UNSUPPORTED'
  | 'CONFLICT'
  | 'IN_USE'
  | 'CONSENT_REQUIRED'
  | 'SHRINK_REFUSED'
  | 'VERSION_EXISTS'
  | 'STATE_REFUSED'
  | 'CHECKS_FAILED'
  | 'PRECONDITION_FAILED'
  | 'PAYLOAD_TOO_LARGE'
  | 'MEDIA_TYPE_UNSUPPORTED'
  | 'CONFIG_INVALID'
  | 'PACKAGE_REFUSED'
  | 'BUNDLE_REFUSED'
  | 'TOO_MANY_FAILURES'
  | 'ADMIN_FAILED'
  | 'DATABASE_UNAVAILABLE'
  | 'SIGNING_UNAVAILABLE'
  | 'TOO_MANY_WRITES'
  | 'TOO_MANY_REPLAYS'
  | 'NODES_BEHIND';

/** Describes one error code. `isRetryable` tells a client whether the same request may succeed later. */
export interface AdminErrorSpec {
  readonly status: number;
  readonly isRetryable: boolean;
  readonly title: string;
}

/** Holds the one table of errors of the admin service. @see RFC 9457 */
export const ADMIN_ERRORS: Readonly<Record<AdminErrorCode, AdminErrorSpec>> = {
  BODY_MALFORMED: { status: 400, isRetryable: false, title: 'The request body cannot be read' },
  BODY_UNEXPECTED: { status: 400, isRetryable: false, title: 'This request takes no body' },
  QUERY_INVALID: { status: 400, isRetryable: false, title: 'The query is invalid' },
  TOKEN_INVALID: { status: 401, isRetryable: false, title: 'A valid token is required' },
  ROLE_INSUFFICIENT: { status: 403, isRetryable: false, title: 'The role of this token does not allow it' },
  HOST_REFUSED: { status: 403, isRetryable: false, title: 'The Host header names another service' },
  ORIGIN_REFUSED: { status: 403, isRetryable: false, title: 'Requests from another origin are refused' },
  NAMESPACE_FOREIGN: { status: 403, isRetryable: false, title: 'The namespace is not of this token' },
  NOT_FOUND: { status: 404, isRetryable: false, title: 'Nothing is there' },
  METHOD_UNSUPPORTED: { status: 405, isRetryable: false, title: 'The method is not supported here' },
  CONFLICT: { status: 409, isRetryable: false, title: 'It collides with something that exists' },
  IN_USE: { status: 409, isRetryable: false, title: 'It is still in use' },
  CONSENT_REQUIRED: { status: 409, isRetryable: false, title: 'The version asks for more than was granted' },
  SHRINK_REFUSED: { status: 409, isRetryable: false, title: 'The replacement would remove most of the configuration' },
  VERSION_EXISTS: { status: 409, isRetryable: false, title: 'The version is published with other bytes' },
  STATE_REFUSED: { status: 409, isRetryable: false, title: 'The version cannot go into this state' },
  CHECKS_FAILED: { status: 409, isRetryable: false, title: 'The version does not pass its checks' },
  PRECONDITION_FAILED: { status: 412, isRetryable: false, title: 'It has changed since it was read' },
  PAYLOAD_TOO_LARGE: { status: 413, isRetryable: false, title: 'The request body is too large' },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, isRetryable: false, title: 'The media type is not supported' },
  CONFIG_INVALID: { status: 422, isRetryable: false, title: 'The configuration is invalid' },
  PACKAGE_REFUSED: { status: 422, isRetryable: false, title: 'The package is refused' },
  BUNDLE_REFUSED: { status: 422, isRetryable: false, title: 'The bundle is refused' },
  TOO_MANY_FAILURES: { status: 429, isRetryable: true, title: 'Too many requests with a wrong token' },
  ADMIN_FAILED: { status: 500, isRetryable: false, title: 'The admin service failed' },
  DATABASE_UNAVAILABLE: { status: 503, isRetryable: true, title: 'The database is out of reach' },
  SIGNING_UNAVAILABLE: { status: 503, isRetryable: false, title: 'The marketplace cannot sign here' },
  TOO_MANY_WRITES: { status: 503, isRetryable: true, title: 'Too many writes are waiting' },
  TOO_MANY_REPLAYS: { status: 503, isRetryable: true, title: 'Too many replays are waiting' },
  NODES_BEHIND: { status: 504, isRetryable: true, title: 'Not every node runs the revision yet' },
};

/** Carries extra facts of an `AdminError`; `facts` become members of the problem document, `headers` of the answer. */
export interface AdminErrorOptions {
  readonly cause?: unknown;
  readonly problems?: readonly Pick<Problem, 'pointer' | 'message'>[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** Ends a request with a coded answer. `detail` is shown to the client: it must hold no secret. */
export class AdminError extends Error {
  override readonly name = 'AdminError';
  readonly code: AdminErrorCode;
  readonly options: AdminErrorOptions;

  constructor(code: AdminErrorCode, detail: string, options: AdminErrorOptions = {}) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.options = options;
  }
}

/** Builds the refusal of a body that names the fields at fault. */
export function invalid(problems: readonly Pick<Problem, 'pointer' | 'message'>[]): AdminError {
  const [first] = problems;
  const rest = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  const detail = first === undefined ? 'invalid' : `${first.pointer || 'The body'}: ${first.message}${rest}`;
  return new AdminError('CONFIG_INVALID', detail, { problems });
}

/** Builds the refusal of a body for one field. */
export function invalidField(pointer: string, message: string): AdminError {
  return invalid([{ pointer, message }]);
}

/** Shows an error as an RFC 9457 problem document. */
export function buildProblem(error: AdminError): Readonly<Record<string, unknown>> {
  const { status, title } = ADMIN_ERRORS[error.code];
  return {
    type: `urn:sallyport:error:${error.code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    detail: error.message,
    code: error.code,
    problems: (error.options.problems ?? []).map(({ pointer, message }) => ({ pointer, message })),
    ...error.options.facts,
  };
}
