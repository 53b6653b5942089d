// Header fields in flight: reading, changing, and what must never be passed on.
// Must not join repeated fields: each line stays one line, as sent.
import { GatewayError } from '../errors.ts';
import type { HeaderFields } from '../plugin.ts';
import { type FieldName, readFieldName } from './field-name.ts';

const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const NO_VALUES: readonly string[] = Object.freeze([]);

/**
 * Holds header fields as lines in order. Names keep their case on the wire and are compared in lower case.
 * @see RFC 9110 section 5
 */
export class Headers implements HeaderFields {
  readonly #names: FieldName[] = [];
  /** name, value, name, value ... */
  readonly #lines: string[] = [];
  /** Says whether a plugin wrote a field that the gateway writes itself. */
  hasOwnFields = false;

  /** Gives name, value, name, value ... as they go on the wire. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Adds a line that the wire has already checked. */
  add(name: FieldName, value: string): void {
    this.#names.push(name);
    this.#lines.push(name.raw, value);
  }

  get(name: string): string | undefined {
    const at = this.#find(name.toLowerCase(), 0);
    return at === -1 ? undefined : this.#lines[2 * at + 1];
  }

  getAll(name: string): readonly string[] {
    const lower = name.toLowerCase();
    const first = this.#find(lower, 0);
    if (first === -1) return NO_VALUES;
    const values = [this.#valueAt(first)];
    for (let at = this.#find(lower, first + 1); at !== -1; at = this.#find(lower, at + 1)) {
      values.push(this.#valueAt(at));
    }
    return values;
  }

  has(name: string): boolean {
    return this.#find(name.toLowerCase(), 0) !== -1;
  }

  set(name: string, value: string): void {
    const field = checkName(name);
    const text = checkValue(value);
    if (!this.#accepts(field)) return;
    const at = this.#find(field.lower, 0);
    if (at === -1) {
      this.add(field, text);
      return;
    }
    this.#put(at, field, text);
    this.#removeFrom(field.lower, at + 1);
  }

  append(name: string, value: string): void {
    const field = checkName(name);
    const text = checkValue(value);
    if (this.#accepts(field)) this.add(field, text);
  }

  delete(name: string): void {
    this.#removeFrom(name.toLowerCase(), 0);
  }

  entries(): readonly (readonly [string, string])[] {
    return this.#names.map(({ lower }, at) => [lower, this.#valueAt(at)]);
  }

  /** Writes name, value, name, value ... onto `lines`. */
  writeTo(lines: string[]): void {
    for (const line of this.#lines) lines.push(line);
  }

  // Asked of plugins only, so that the wire's own lines cost nothing: their framing would stand beside ours.
  #accepts(field: FieldName): boolean {
    if (field.isHopByHop) return false;
    this.hasOwnFields ||= field.isOwn;
    return true;
  }

  #valueAt(at: number): string {
    return this.#lines[2 * at + 1] ?? '';
  }

  #put(at: number, name: FieldName, value: string): void {
    this.#names[at] = name;
    this.#lines[2 * at] = name.raw;
    this.#lines[2 * at + 1] = value;
  }

  #find(lower: string, from: number): number {
    const names = this.#names;
    for (let at = from; at < names.length; at++) if (names[at]?.lower === lower) return at;
    return -1;
  }

  // Lines move up one by one: `splice` would make two lists of what it took out.
  #removeFrom(lower: string, from: number): void {
    const names = this.#names;
    let kept = this.#find(lower, from);
    if (kept === -1) return;
    for (let at = kept + 1; at < names.length; at++) {
      const name = names[at];
      if (name && name.lower !== lower) this.#put(kept++, name, this.#valueAt(at));
    }
    while (names.length > kept) {
      names.pop();
      this.#lines.pop();
      this.#lines.pop();
    }
  }
}

/** Says whether a field can stand on the wire. */
export function isField(name: string, value: string): boolean {
  return readFieldName(name).isLegal && isValue(value);
}

function checkName(name: string): FieldName {
  const field = readFieldName(name);
  if (!field.isLegal) throw new TypeError('not a legal header name');
  return field;
}

// CR or LF from data must never reach the wire: it would start a line, or a message, of the attacker's choosing.
function checkValue(value: string): string {
  if (!isValue(value)) throw new TypeError('not a legal header value');
  return value;
}

/** Most characters that are looked at faster than a regular expression is begun: 80 ns for each header that a plugin sets. */
const FEW_CHARACTERS = 32;

function isValue(value: string): boolean {
  if (value.length > FEW_CHARACTERS) return FIELD_VALUE.test(value);
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at);
    if ((code < 0x20 && code !== 0x09) || code === 0x7f || code > 0xff) return false;
  }
  return true;
}

/** Is what the gateway must know of a request's head, found in one pass. */
export interface RequestHead {
  readonly headers: Headers;
  readonly host: string | undefined;
  readonly forwardedFor: readonly string[];
  readonly forwardedProto: string | undefined;
  readonly forwardedHost: string | undefined;
}

/** Most header lines accepted in one message. */
export const MAX_HEADER_LINES = 100;

/**
 * Reads the client's header lines: drops hop-by-hop fields (also those that Connection names), every field by which a
 * client could pretend to be the gateway (also spelt with `_`, which CGI-like upstreams read as `-`), and collects the rest.
 * @throws HEADERS_TOO_LARGE above 100 lines; REQUEST_MALFORMED on repeated Host or Authorization.
 */
export function readRequestHead(rawHeaders: readonly string[]): RequestHead {
  if (rawHeaders.length > 2 * MAX_HEADER_LINES) {
    throw new GatewayError('HEADERS_TOO_LARGE', `more than ${MAX_HEADER_LINES} header lines`);
  }
  const headers = new Headers();
  const named = listConnectionNames(rawHeaders);
  let forwardedFor = NO_VALUES;
  let host: string | undefined;
  let forwardedProto: string | undefined;
  let forwardedHost: string | undefined;
  let hasAuthorization = false;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const field = readFieldName(rawHeaders[at] ?? '');
    const value = rawHeaders[at + 1] ?? '';
    const { role } = field;
    if (role === 'host') {
      if (host !== undefined) throw new GatewayError('HOST_INVALID', 'more than one Host header');
      host = value;
      continue;
    }
    if (role === 'dropped' || named?.has(field.lower)) continue;
    if (role === 'passed') headers.add(field, value);
    else if (role === 'authorization') {
      if (hasAuthorization) throw new GatewayError('REQUEST_MALFORMED', 'more than one Authorization header');
      hasAuthorization = true;
      headers.add(field, value);
    } else if (role === 'forwarded-for') {
      forwardedFor = [...forwardedFor, ...splitList(value)];
    } else if (role === 'forwarded-proto') forwardedProto = value;
    else forwardedHost = value;
  }
  return { headers, host, forwardedFor, forwardedProto, forwardedHost };
}

function listConnectionNames(rawHeaders: readonly string[]): Set<string> | undefined {
  let names: Set<string> | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const raw = rawHeaders[at] ?? '';
    if (raw.length !== 10 || raw.toLowerCase() !== 'connection') continue;
    const value = (rawHeaders[at + 1] ?? '').toLowerCase();
    if (value === 'keep-alive' || value === 'close') continue;
    names ??= new Set();
    for (const token of splitList(value)) names.add(token);
  }
  return names;
}

/**
 * Reads an upstream's header lines, without hop-by-hop fields.
 * @throws UPSTREAM_INVALID_RESPONSE on a transfer coding but chunked: its bytes would arrive still coded, and unnamed.
 */
export function readResponseHeaders(rawHeaders: readonly string[]): { headers: Headers; length: number | undefined } {
  const headers = new Headers();
  const named = listConnectionNames(rawHeaders);
  let length: number | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const field = readFieldName(rawHeaders[at] ?? '');
    const value = rawHeaders[at + 1] ?? '';
    if (field.isHopByHop) {
      if (field.lower === 'content-length') length = Number(value);
      if (field.lower === 'transfer-encoding' && value.toLowerCase() !== 'chunked') {
        throw new GatewayError(
          'UPSTREAM_INVALID_RESPONSE',
          'the upstream sent a transfer coding that it was not asked for',
        );
      }
    } else if (!named?.has(field.lower)) headers.add(field, value);
  }
  return { headers, length };
}

const HOST = /^(?:[a-z0-9_.-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/;

/**
 * Reads a Host header: lower case, port and one trailing dot taken off.
 * @throws HOST_INVALID when it is absent or could be read in two ways (user info, spaces, paths). @see RFC 9112 section 3.2
 */
export function readHost(host: string | undefined): string {
  if (host !== undefined && host !== '' && isSame(host, lastHost.sent)) return lastHost.read;
  const read = parseHost(host);
  // Requests come in runs for one host; one remembered is nearly as good as many, and needs no bound.
  lastHost = { sent: host ?? '', read };
  return read;
}

/** Compares short texts. V8 leaves compiled code to compare a slice of another text. */
function isSame(text: string, other: string): boolean {
  if (text.length !== other.length) return false;
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) !== other.charCodeAt(at)) return false;
  return true;
}

let lastHost = { sent: '', read: '' };

function parseHost(host: string | undefined): string {
  const lower = host?.toLowerCase();
  if (lower === undefined || lower === '') throw new GatewayError('HOST_INVALID', 'the Host header is missing');
  const match = HOST.exec(lower);
  if (!match) throw new GatewayError('HOST_INVALID', 'expected a host name or IP address with an optional port');
  const port = match[1];
  if (port !== undefined && Number(port) > 65_535) throw new GatewayError('HOST_INVALID', 'the port is out of range');
  const name = port === undefined ? lower : lower.slice(0, -port.length - 1);
  return name.endsWith('.') && name.length > 1 ? name.slice(0, -1) : name;
}

/** Splits a list at its commas, without the blanks around its members: space and tab, where `trim` takes more. RFC 9110 section 5.6.1. */
export function splitList(value: string): string[] {
  return value.split(',').map(trimBlanks);
}

// By hand: an expression that ends in `$` takes a time with the square of the blanks.
function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
