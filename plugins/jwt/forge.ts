// Makes tokens for the tests of this folder, good ones and forged ones, from bytes up.
// Must not be imported by the plugin.
import { createHmac, createSign, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** Is a pair of keys of one kind. */
export interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly pem: string;
}

/** Builds an RSA pair. */
export function rsaPair(modulusLength = 2048): Pair {
  return withPem(generateKeyPairSync('rsa', { modulusLength }));
}

/** Builds a pair on a curve. */
export function ecPair(namedCurve = 'P-256'): Pair {
  return withPem(generateKeyPairSync('ec', { namedCurve }));
}

function withPem({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Pair {
  return { publicKey, privateKey, pem: publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}

/** Gives a value as a part of a token; text goes in as it is. */
export function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
}

/** Signs header and claims the way `algorithm` says, whatever the header claims. */
export function forge(header: unknown, claims: unknown, key: KeyObject | string, algorithm = 'HS256'): string {
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${signature(input, key, algorithm)}`;
}

/** Gives a token of `algorithm` with an honest header. */
export function issue(claims: unknown, key: KeyObject | string, algorithm = 'HS256', more: object = {}): string {
  return forge({ alg: algorithm, typ: 'JWT', ...more }, claims, key, algorithm);
}

function signature(input: string, key: KeyObject | string, algorithm: string): string {
  const bits = algorithm.slice(2);
  if (algorithm.startsWith('HS')) return createHmac(`sha${bits}`, key).update(input).digest('base64url');
  if (algorithm.startsWith('PS')) {
    const options = { key: key as KeyObject, padding: 6, saltLength: Number(bits) / 8 };
    return sign(`sha${bits}`, Buffer.from(input), options).toString('base64url');
  }
  const options = { key: key as KeyObject, dsaEncoding: 'ieee-p1363' as const };
  return createSign(`sha${bits}`).update(input).sign(options, 'base64url');
}
