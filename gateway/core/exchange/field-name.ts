// What the name of a header field says, found out once per spelling.
// Must not look at values.
import { TOKEN_PATTERN } from '../schemas.ts';

/** Says what becomes of a field that a client sends. */
export type RequestRole =
  | 'passed'
  | 'dropped'
  | 'host'
  | 'authorization'
  | 'forwarded-for'
  | 'forwarded-proto'
  | 'forwarded-host';

/** Is a field's name in one spelling, with all that follows from it. */
export interface FieldName {
  /** As sent. */
  readonly raw: string;
  readonly lower: string;
  /** Says whether it can stand on the wire. */
  readonly isLegal: boolean;
  /** Belongs to one hop: never passed on. RFC 9110 section 7.6.1. */
  readonly isHopByHop: boolean;
  /** Is written by the gateway itself in requests. */
  readonly isOwn: boolean;
  readonly role: RequestRole;
}

/** Spellings at hand; clients choose them, so there is a bound, and a fresh start costs little. */
const MAX_KNOWN = 1_000;
/** Longer names are rare, and not worth their memory. */
const MAX_KNOWN_LENGTH = 64;

const LEGAL = new RegExp(TOKEN_PATTERN);

const known = new Map<string, FieldName>();

/** Gives what a name says. Lower-casing and asking five sets for every line of every message is seen in the benchmark. */
export function readFieldName(raw: string): FieldName {
  return known.get(raw) ?? learn(raw);
}

function learn(raw: string): FieldName {
  const isLegal = LEGAL.test(raw);
  if (!isLegal || raw.length > MAX_KNOWN_LENGTH) return buildFieldName(raw, isLegal);
  if (known.size >= MAX_KNOWN) known.clear();
  // A copy: what the wire hands over may be a slice that keeps a whole message head in memory.
  const field = buildFieldName(Buffer.from(raw, 'latin1').toString('latin1'), isLegal);
  known.set(field.raw, field);
  return field;
}

function buildFieldName(raw: string, isLegal: boolean): FieldName {
  const lower = raw.toLowerCase();
  return {
    raw,
    lower,
    isLegal,
    isHopByHop: HOP_BY_HOP.has(lower),
    isOwn: OWN_FIELDS.has(lower),
    role: findRole(lower),
  };
}

function findRole(lower: string): RequestRole {
  if (lower === 'host' || lower === 'authorization') return lower;
  if (lower === 'x-forwarded-for') return 'forwarded-for';
  if (lower === 'x-forwarded-proto') return 'forwarded-proto';
  if (lower === 'x-forwarded-host') return 'forwarded-host';
  // CGI-like upstreams read `_` as `-`.
  const alias = lower.replaceAll('_', '-');
  const isPretence = alias === 'x-request-id' || isIdentity(alias) || isForwarded(alias);
  return isPretence || HOP_BY_HOP.has(alias) ? 'dropped' : 'passed';
}

/** Says whether a field, in lower case, belongs to one hop or is the gateway's to write: what others may not pass through it. */
export function isReserved(name: string): boolean {
  return HOP_BY_HOP.has(name) || OWN_FIELDS.has(name) || isIdentity(name) || isForwarded(name);
}

function isIdentity(name: string): boolean {
  return IDENTITY_PREFIXES.some((prefix) => name.startsWith(prefix)) || IDENTITY.has(name);
}

function isForwarded(name: string): boolean {
  return name.startsWith('x-forwarded-') || FORWARDED.has(name);
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
  'client-cert',
  'x-client-cert-fingerprint',
  'x-client-cert-subject',
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
// The last two: RFC 9440, and what is commonly used beside it.
const IDENTITY_PREFIXES = ['x-consumer-', 'x-credential-', 'client-cert', 'x-client-cert'];
const IDENTITY = new Set(['x-anonymous-consumer', 'x-authenticated-groups', 'x-authenticated-userid', 'x-userinfo']);
