// The one canonical form of a request path, seen alike by router, plugins and upstream.
// Must refuse whatever two readers could read differently; must never guess.
import { GatewayError } from '../errors.ts';

/** Longest request target accepted, in characters (RFC 9112 section 3 recommends at least 8000). */
const MAX_TARGET_LENGTH = 8192;

const PLAIN = 1;
const SLASH = 2;
const DOT = 3;
const PERCENT = 4;
const QUESTION = 5;
const AMBIGUOUS = 6;

const KIND_OF_CODE = buildKinds();

function buildKinds(): Uint8Array {
  const kinds = new Uint8Array(128);
  for (let code = 0x30; code <= 0x39; code++) kinds[code] = PLAIN;
  for (let code = 0x41; code <= 0x5a; code++) kinds[code] = PLAIN;
  for (let code = 0x61; code <= 0x7a; code++) kinds[code] = PLAIN;
  // pchar of RFC 3986 without `;`, and `[ ] | ^`, which browsers send unencoded and every reader reads alike.
  for (const char of "-_~!$&'()*+,=:@[]|^") kinds[char.charCodeAt(0)] = PLAIN;
  kinds[0x2f] = SLASH;
  kinds[0x2e] = DOT;
  kinds[0x25] = PERCENT;
  kinds[0x3f] = QUESTION;
  // `;` starts path parameters for some servers (`/admin;x` is `/admin` to them), `\` is a slash for others.
  kinds[0x3b] = AMBIGUOUS;
  kinds[0x5c] = AMBIGUOUS;
  return kinds;
}

/** Is a request target taken apart. `query` is undefined when there is no `?`, and is passed on as sent. */
export interface CanonicalTarget {
  readonly path: string;
  readonly query: string | undefined;
}

/**
 * Reads an origin-form target. Percent-encoded unreserved characters are decoded and hex digits made upper case
 * (RFC 3986 section 6.2.2); a path that is canonical already comes back as the same string.
 * @throws URI_TOO_LONG; REQUEST_MALFORMED when it is not a target; PATH_AMBIGUOUS on dot segments, empty segments, backslashes,
 * semicolons, encoded `/ \ ? # ;` or control characters, and encoded bytes that are not UTF-8.
 */
export function readTarget(target: string): CanonicalTarget {
  if (target.length > MAX_TARGET_LENGTH) {
    throw new GatewayError('URI_TOO_LONG', `the target is longer than ${MAX_TARGET_LENGTH} characters`);
  }
  if (target.charCodeAt(0) !== 0x2f) throw malformed('the target must begin with /');

  let segmentStart = 1;
  let hasPercent = false;
  let at = 1;
  for (; at < target.length; at++) {
    const code = target.charCodeAt(at);
    const kind = code < 128 ? KIND_OF_CODE[code] : 0;
    if (kind === PLAIN || kind === DOT) continue;
    if (kind === QUESTION) break;
    if (kind === SLASH) {
      checkSegment(target, segmentStart, at);
      if (at === segmentStart) throw ambiguous('an empty path segment (//)');
      segmentStart = at + 1;
    } else if (kind === PERCENT) hasPercent = true;
    else if (kind === AMBIGUOUS) throw ambiguous(`the character ${target.charAt(at)}`);
    else throw malformed('the path holds a character that must be percent-encoded');
  }
  checkSegment(target, segmentStart, at);

  const query = at < target.length ? checkQuery(target.slice(at + 1)) : undefined;
  const path = at === target.length ? target : target.slice(0, at);
  return { path: hasPercent ? normalisePath(path) : path, query };
}

/**
 * Reads any request target: origin-form, or absolute-form that agrees with the Host header.
 * @throws as `readTarget`; REQUEST_MALFORMED on `*`, authority-form, or a target for another host than Host names.
 * @see RFC 9112 section 3.2
 */
export function readRequestTarget(target: string, host: string): CanonicalTarget {
  if (target.charCodeAt(0) === 0x2f) return readTarget(target);
  const absolute = /^https?:\/\/([^/?#]*)([/?].*)?$/is.exec(target);
  if (!absolute) throw malformed('expected a path that begins with /');
  const [, authority = '', rest = ''] = absolute;
  if (authority.toLowerCase() !== host.toLowerCase()) throw malformed('the target names another host than Host');
  return readTarget(rest.startsWith('/') ? rest : `/${rest}`);
}

/**
 * Checks a path that configuration or a plugin made, and gives its canonical form.
 * @throws as `readTarget`; a `?` is malformed here.
 */
export function readPath(path: string): string {
  const target = readTarget(path);
  if (target.query !== undefined) throw malformed('a path must not hold ?');
  return target.path;
}

/**
 * Gives the form in which a canonical path is compared with the path of a route: `/%40me` is `/@me`. RFC 3986 tells the two
 * apart, so each goes upstream as sent, but most servers do not, and the one must not lead past what guards the other.
 */
export function comparablePath(path: string): string {
  if (!path.includes('%')) return path;
  return path.replace(/%[0-9A-F]{2}/g, (encoded) => {
    const code = Number.parseInt(encoded.slice(1), 16);
    return KIND_OF_CODE[code] === PLAIN ? String.fromCharCode(code) : encoded;
  });
}

function malformed(detail: string): GatewayError {
  return new GatewayError('REQUEST_MALFORMED', detail);
}

function ambiguous(what: string): GatewayError {
  return new GatewayError('PATH_AMBIGUOUS', `the path holds ${what}, which servers read in different ways`);
}

function checkSegment(text: string, start: number, end: number): void {
  const length = end - start;
  if (length === 0 || length > 2 || text.charCodeAt(start) !== 0x2e) return;
  if (length === 1 || text.charCodeAt(start + 1) === 0x2e) throw ambiguous('a dot segment');
}

function checkQuery(query: string): string {
  for (let at = 0; at < query.length; at++) {
    const code = query.charCodeAt(at);
    if (code <= 0x20 || code >= 0x7f || code === 0x23) {
      throw malformed('the query holds a character that must be percent-encoded');
    }
  }
  return query;
}

function normalisePath(path: string): string {
  let result = '';
  let plainFrom = 0;
  const bytes: number[] = [];
  for (let at = path.indexOf('%'); at !== -1; at = path.indexOf('%', at + 1)) {
    const byte = readHexPair(path, at + 1);
    // An encoded `/`, `\`, `?`, `#` or `;` is a separator to a server that decodes before it splits.
    if (byte < 0x20 || byte === 0x7f || '/\\?#;'.includes(String.fromCharCode(byte))) {
      throw ambiguous(`an encoded separator or control character (%${path.slice(at + 1, at + 3)})`);
    }
    if (byte >= 0x80) bytes.push(byte);
    else checkUtf8(bytes);
    result += path.slice(plainFrom, at) + (isUnreserved(byte) ? String.fromCharCode(byte) : encodeByte(byte));
    plainFrom = at + 3;
    if (byte >= 0x80 && path.charCodeAt(plainFrom) !== 0x25) checkUtf8(bytes);
  }
  checkUtf8(bytes);
  result += path.slice(plainFrom);
  for (const segment of result.split('/')) checkSegment(segment, 0, segment.length);
  return result;
}

function readHexPair(path: string, at: number): number {
  const high = hexValue(path.charCodeAt(at));
  const low = hexValue(path.charCodeAt(at + 1));
  if (high < 0 || low < 0) throw malformed('the path holds a % that no two hex digits follow');
  return high * 16 + low;
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

function encodeByte(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

function isUnreserved(byte: number): boolean {
  if (byte >= 0x80) return false;
  return /[A-Za-z0-9\-._~]/.test(String.fromCharCode(byte));
}

function checkUtf8(bytes: number[]): void {
  if (bytes.length === 0) return;
  try {
    // Overlong forms such as %C0%AF are a slash to a lenient decoder.
    new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
  } catch {
    throw ambiguous('encoded bytes that are not UTF-8');
  }
  bytes.length = 0;
}
