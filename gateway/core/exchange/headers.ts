// Header fields in flight: reading, changing, and what must never be passed on.
// Must not join repeated fields: each line stays one line, as sent.
import { GatewayError } from '../errors.ts';
import type { HeaderFields } from '../plugin.ts';
import { TOKEN_PATTERN } from '../schemas.ts';

const FIELD_NAME = new RegExp(TOKEN_PATTERN);
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/**
 * Holds header fields as lines in order. Names keep their case on the wire and are compared in lower case.
 * @see RFC 9110 section 5
 */
export class Headers implements HeaderFields {
  readonly #names: string[] = [];
  readonly #rawNames: string[] = [];
  readonly #values: string[] = [];
  /** Says whether a plugin wrote a field that the gateway writes itself. */
  hasOwnFields = false;

  /** Adds a line that the wire has already checked. */
  add(lowerName: string, rawName: string, value: string): void {
    this.#names.push(lowerName);
    this.#rawNames.push(rawName);
    this.#values.push(value);
  }

  get(name: string): string | undefined {
    const at = this.#names.indexOf(name.toLowerCase());
    return at === -1 ? undefined : this.#values[at];
  }

  getAll(name: string): readonly string[] {
    const lower = name.toLowerCase();
    return this.#values.filter((_, at) => this.#names[at] === lower);
  }

  has(name: string): boolean {
    return this.#names.includes(name.toLowerCase());
  }

  set(name: string, value: string): void {
    const lower = checkName(name);
    const text = checkValue(value);
    if (!this.#accepts(lower)) return;
    const at = this.#names.indexOf(lower);
    if (at === -1) {
      this.add(lower, name, text);
      return;
    }
    this.#rawNames[at] = name;
    this.#values[at] = text;
    this.#removeFrom(lower, at + 1);
  }

  append(name: string, value: string): void {
    const lower = checkName(name);
    const text = checkValue(value);
    if (this.#accepts(lower)) this.add(lower, name, text);
  }

  delete(name: string): void {
    this.#removeFrom(name.toLowerCase(), 0);
  }

  entries(): readonly (readonly [string, string])[] {
    return this.#names.map((name, at) => [name, this.#values[at] ?? '']);
  }

  /** Writes name, value, name, value ... onto `lines`. */
  writeTo(lines: string[]): void {
    for (let at = 0; at < this.#names.length; at++) lines.push(this.#rawNames[at] ?? '', this.#values[at] ?? '');
  }

  // Asked of plugins only, so that the wire's own lines cost nothing: their framing would stand beside ours.
  #accepts(lower: string): boolean {
    if (HOP_BY_HOP.has(lower)) return false;
    this.hasOwnFields ||= OWN_FIELDS.has(lower);
    return true;
  }

  #removeFrom(lower: string, from: number): void {
    for (let at = this.#names.indexOf(lower, from); at !== -1; at = this.#names.indexOf(lower, at)) {
      this.#names.splice(at, 1);
      this.#rawNames.splice(at, 1);
      this.#values.splice(at, 1);
    }
  }
}

/** Says whether a field can stand on the wire. */
export function isField(name: string, value: string): boolean {
  return FIELD_NAME.test(name) && FIELD_VALUE.test(value);
}

function checkName(name: string): string {
  if (!FIELD_NAME.test(name)) throw new TypeError('not a legal header name');
  return name.toLowerCase();
}

// CR or LF from data must never reach the wire: it would start a line, or a message, of the attacker's choosing.
function checkValue(value: string): string {
  if (!FIELD_VALUE.test(value)) throw new TypeError('not a legal header value');
  return value;
}

// Connection-level fields belong to one hop; framing is written anew for the next. RFC 9110 section 7.6.1.
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  // Not hop-by-hop, but CGI makes it HTTP_PROXY, which libraries take for a proxy to use: CVE-2016-5385.
  'proxy',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'content-length',
  'expect',
]);

/** Request fields that the gateway writes itself; from anybody else an upstream would see two. */
export const OWN_FIELDS: ReadonlySet<string> = new Set([
  'host',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-real-ip',
  'x-request-id',
  'x-consumer-id',
  'x-consumer-username',
  'x-consumer-custom-id',
  'x-consumer-groups',
  'x-credential-id',
]);

// Fields by which upstreams tell who calls and from where. Only the gateway, or a trusted proxy before it, may set them.
const FORWARDED = new Set([
  'forwarded',
  'true-client-ip',
  'x-client-ip',
  'x-cluster-client-ip',
  'x-forwarded',
  'x-original-forwarded-for',
  // Some frameworks route by these in place of the path that was authorized: CVE-2018-14773.
  'x-original-url',
  'x-rewrite-url',
  'x-real-ip',
]);
const IDENTITY = new Set(['x-anonymous-consumer', 'x-authenticated-groups', 'x-authenticated-userid', 'x-userinfo']);

function isIdentity(name: string): boolean {
  return name.startsWith('x-consumer-') || name.startsWith('x-credential-') || IDENTITY.has(name);
}

function isForwarded(name: string): boolean {
  return name.startsWith('x-forwarded-') || FORWARDED.has(name);
}

/** Says whether a field, in lower case, belongs to one hop or is the gateway's to write: what others may not pass through it. */
export function isReserved(name: string): boolean {
  return HOP_BY_HOP.has(name) || OWN_FIELDS.has(name) || isIdentity(name) || isForwarded(name);
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
  const forwardedFor: string[] = [];
  let host: string | undefined;
  let forwardedProto: string | undefined;
  let forwardedHost: string | undefined;
  let authorizations = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const raw = rawHeaders[at] ?? '';
    const value = rawHeaders[at + 1] ?? '';
    const name = raw.toLowerCase();
    if (name === 'host') {
      if (host !== undefined) throw new GatewayError('HOST_INVALID', 'more than one Host header');
      host = value;
      continue;
    }
    if (HOP_BY_HOP.has(name) || named?.has(name)) continue;
    const alias = name.includes('_') ? name.replaceAll('_', '-') : name;
    if (alias.charCodeAt(0) === 0x78 /* x */ || alias === 'forwarded' || alias === 'true-client-ip') {
      if (alias === 'x-request-id' || isIdentity(alias)) continue;
      if (isForwarded(alias)) {
        if (name === 'x-forwarded-for') forwardedFor.push(...value.split(',').map((part) => part.trim()));
        else if (name === 'x-forwarded-proto') forwardedProto = value;
        else if (name === 'x-forwarded-host') forwardedHost = value;
        continue;
      }
    }
    if (name === 'authorization' && ++authorizations > 1) {
      throw new GatewayError('REQUEST_MALFORMED', 'more than one Authorization header');
    }
    headers.add(name, raw, value);
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
    for (const token of value.split(',')) names.add(token.trim());
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
    const raw = rawHeaders[at] ?? '';
    const name = raw.toLowerCase();
    const value = rawHeaders[at + 1] ?? '';
    if (name === 'content-length') length = Number(value);
    if (name === 'transfer-encoding' && value.toLowerCase() !== 'chunked') {
      throw new GatewayError(
        'UPSTREAM_INVALID_RESPONSE',
        'the upstream sent a transfer coding that it was not asked for',
      );
    }
    if (HOP_BY_HOP.has(name) || named?.has(name)) continue;
    headers.add(name, raw, value);
  }
  return { headers, length };
}

const HOST = /^(?:[a-z0-9_.-]{1,255}|\[[0-9a-f:.]{2,45}\])(?::(\d{1,5}))?$/;

/**
 * Reads a Host header: lower case, port and one trailing dot taken off.
 * @throws HOST_INVALID when it is absent or could be read in two ways (user info, spaces, paths). @see RFC 9112 section 3.2
 */
export function readHost(host: string | undefined): string {
  if (host !== undefined && host !== '' && host === lastHost.sent) return lastHost.read;
  const read = parseHost(host);
  // Requests come in runs for one host; one remembered is nearly as good as many, and needs no bound.
  lastHost = { sent: host ?? '', read };
  return read;
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
