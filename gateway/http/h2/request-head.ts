// Reads the header section of a stream: what node:http2 leaves to check of RFC 9113 section 8.3 is checked here.
// Must not interpret host or path: the core does.
import { GatewayError } from '../../core/errors.ts';
import { isGrpcType } from '../../core/exchange/grpc.ts';

/** Most header lines of a request, as in HTTP/1.1. Pieces of a cookie count as lines until they are joined. */
const MAX_HEADER_LINES = 100;
/** Largest header section, counted as SETTINGS_MAX_HEADER_LIST_SIZE is: RFC 9113 section 10.5.1. */
export const MAX_HEADER_LIST_BYTES: number = 32 * 1024;
const BYTES_PER_LINE = 32;

/** Is a request head taken apart. */
export interface RequestHead {
  readonly method: string;
  readonly target: string;
  /** Host first, then the lines as sent, cookies joined. */
  readonly rawHeaders: readonly string[];
  /** Bytes by Content-Length. */
  readonly length: number | undefined;
  readonly expectsContinue: boolean;
  /** Says that the client reads trailers. */
  readonly acceptsTrailers: boolean;
  /** Bytes of the whole, as they count toward the bound. */
  readonly bytes: number;
}

interface Draft {
  method: string;
  target: string;
  authority: string | undefined;
  scheme: string;
  host: string | undefined;
  length: number | undefined;
  expect: string | undefined;
  acceptsTrailers: boolean;
  /** Where the value of the one Cookie line stands; 0 = none came. */
  cookieAt: number;
}

// Up to 2^53 without sign, blanks or leading zeros, as in HTTP/1.1.
const CONTENT_LENGTH = /^(?:0|[1-9]\d{0,14})$/;

/**
 * Reads raw lines: name, value, name, value ... Pseudo-headers come first and once, names are in lower case and
 * connection-specific fields do not occur: node:http2 resets the stream otherwise.
 * @throws GatewayError REQUEST_MALFORMED, HOST_INVALID, METHOD_NOT_ALLOWED, HEADERS_TOO_LARGE, EXPECTATION_FAILED.
 */
export function readRequestHead(raw: readonly string[]): RequestHead {
  const draft: Draft = {
    method: '',
    target: '',
    authority: undefined,
    scheme: '',
    host: undefined,
    length: undefined,
    expect: undefined,
    acceptsTrailers: false,
    cookieAt: 0,
  };
  const lines: string[] = ['Host', ''];
  let bytes = 0;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? '';
    const value = raw[at + 1] ?? '';
    bytes += name.length + value.length + BYTES_PER_LINE;
    if (name.charCodeAt(0) === 0x3a /* : */) readPseudo(draft, name, value);
    else readField(draft, lines, name, value);
  }
  if (bytes > MAX_HEADER_LIST_BYTES || raw.length > 2 * (MAX_HEADER_LINES + 4)) {
    throw new GatewayError(
      'HEADERS_TOO_LARGE',
      `more than ${MAX_HEADER_LINES} lines or ${MAX_HEADER_LIST_BYTES} bytes`,
    );
  }
  checkPseudo(draft);
  lines[1] = findHost(draft);
  const { method, target, length, acceptsTrailers } = draft;
  return {
    method,
    target,
    rawHeaders: lines,
    length,
    expectsContinue: readExpectation(draft.expect),
    acceptsTrailers,
    bytes,
  };
}

function readPseudo(draft: Draft, name: string, value: string): void {
  if (name === ':path') draft.target = value;
  else if (name === ':method') draft.method = value;
  else if (name === ':scheme') draft.scheme = value;
  else if (name === ':authority') draft.authority = value;
  else throw new GatewayError('REQUEST_MALFORMED', 'an unknown pseudo-header');
}

function readField(draft: Draft, lines: string[], name: string, value: string): void {
  switch (name) {
    case 'host':
      draft.host = value;
      return;
    case 'cookie':
      // Split for the sake of compression; every other protocol knows one line. RFC 9113 section 8.2.3.
      if (draft.cookieAt > 0) {
        lines[draft.cookieAt] += `; ${value}`;
        return;
      }
      draft.cookieAt = lines.length + 1;
      break;
    case 'content-length':
      if (!CONTENT_LENGTH.test(value)) {
        throw new GatewayError('REQUEST_MALFORMED', 'Content-Length is not a plain number');
      }
      draft.length = Number(value);
      break;
    case 'expect':
      draft.expect = draft.expect === undefined ? value.toLowerCase() : 'several';
      break;
    case 'te':
      draft.acceptsTrailers = true;
      break;
    case 'content-type':
      // Its clients read trailers whether they say so or not: there is no other place for the status.
      draft.acceptsTrailers ||= isGrpcType(value);
      break;
    default:
      break;
  }
  lines.push(name, value);
}

function checkPseudo({ method, target, scheme }: Draft): void {
  if (method === 'CONNECT') {
    throw new GatewayError('METHOD_NOT_ALLOWED', 'CONNECT is not supported', { headers: { allow: '' } });
  }
  if (scheme !== 'http' && scheme !== 'https') {
    throw new GatewayError('REQUEST_MALFORMED', 'expected the scheme http or https');
  }
  // `*` and `svc/Method` would pass rules that look at how a path begins: GHSA-46wh-3698-f2cx.
  if (target.charCodeAt(0) !== 0x2f) throw new GatewayError('REQUEST_MALFORMED', 'expected a path that begins with /');
}

/** Gives the one host that both fields name: readers differ in which of two they believe. RFC 9113 section 8.3.1. */
function findHost({ authority, host }: Draft): string {
  if (authority === undefined || authority === '') return host ?? '';
  if (host !== undefined && host.toLowerCase() !== authority.toLowerCase()) {
    throw new GatewayError('HOST_INVALID', ':authority and Host name different hosts');
  }
  return authority;
}

function readExpectation(expect: string | undefined): boolean {
  if (expect === undefined) return false;
  if (expect === '100-continue') return true;
  throw new GatewayError('EXPECTATION_FAILED', 'the only expectation supported is 100-continue');
}
