// Reads a token strictly, before anything is believed: what two libraries could read differently is refused.
// Must not verify a signature.
import type { Algorithm } from 'jsonwebtoken';
import { readJson } from 'sallyport/plugin';

/** Is a token that has been read, and not yet verified. */
export interface Token {
  readonly algorithm: Algorithm;
  readonly keyId: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
}

/** base64url without padding, three times: the compact form of a JWS. @see RFC 7515 section 7.1 */
const COMPACT = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/;

/**
 * Header parameters that bring a key along, say where to fetch one, compress the payload or change what is signed. `crit`
 * is here because we implement no extension, and then a token that has one must be refused. @see RFC 7515 section 4.1
 */
const REFUSED_PARAMETERS = ['crit', 'b64', 'zip', 'jku', 'jwk', 'x5u', 'x5c'];

/** 9999-12-31T23:59:59Z; `1e400` is valid JSON and reads as Infinity, an expiry that never comes. */
const MAX_TIME_SECONDS = 253_402_300_799;
const TIMES = ['exp', 'nbf', 'iat'];

const MAX_KEY_ID_LENGTH = 512;

/** Reads a token of one of these algorithms, or gives undefined when it is malformed in any way. */
export function readToken(text: string, algorithms: readonly Algorithm[]): Token | undefined {
  const [, ...parts] = COMPACT.exec(text) ?? [];
  // Spare bits at the end of a part would make many spellings of one token.
  if (parts.length !== 3 || !parts.every(isCanonical)) return undefined;
  const header = readObject(parts[0]);
  const claims = readObject(parts[1]);
  if (!header || !claims) return undefined;

  const algorithm = algorithms.find((known) => known === header['alg']);
  const keyId = header['kid'];
  if (!algorithm || REFUSED_PARAMETERS.some((parameter) => Object.hasOwn(header, parameter))) return undefined;
  if (keyId !== undefined && (typeof keyId !== 'string' || keyId.length > MAX_KEY_ID_LENGTH)) return undefined;
  if (!hasSoundClaims(claims)) return undefined;
  return { algorithm, keyId, claims };
}

function hasSoundClaims(claims: Readonly<Record<string, unknown>>): boolean {
  const { iss: issuer, aud: audience } = claims;
  const isText = (value: unknown): boolean => typeof value === 'string';
  return (
    TIMES.every((name) => !Object.hasOwn(claims, name) || isTime(claims[name])) &&
    (issuer === undefined || isText(issuer)) &&
    (audience === undefined || isText(audience) || (Array.isArray(audience) && audience.every(isText)))
  );
}

function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIME_SECONDS;
}

function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part;
}

function readObject(part: string | undefined): Readonly<Record<string, unknown>> | undefined {
  try {
    const value = readJson(Buffer.from(part ?? '', 'base64url'));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
