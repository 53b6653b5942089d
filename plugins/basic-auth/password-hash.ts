// Compares a password with a stored scrypt hash.
// Must not decide how hashes are made: the control plane makes them, and the parameters are in the string.
import { scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Derives a key from a password; a port, so that tests count what a check costs. */
export type Derive = (password: string, salt: Uint8Array, length: number, cost: ScryptCost) => Promise<Uint8Array>;

/** Is what one derivation costs. @see RFC 7914 section 2 */
export interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

interface PasswordHash {
  readonly cost: ScryptCost;
  readonly salt: Uint8Array;
  readonly hash: Uint8Array;
}

/** `scrypt$<N>$<r>$<p>$<salt base64url>$<hash base64url>` */
const FORMAT = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9_-]{16,128})\$([A-Za-z0-9_-]{22,128})$/;

/** Most memory one derivation may take: a hash in the store must not be a way to stop the gateway. */
const MAX_MEMORY_BYTES = 67_108_864;

const scryptAsync: (
  password: string,
  salt: Uint8Array,
  length: number,
  options: ScryptCost & { maxmem: number },
) => Promise<Uint8Array> = promisify(scrypt);

/** Derives with scrypt in Node's thread pool. */
export const deriveScrypt: Derive = (password, salt, length, cost) =>
  scryptAsync(password, salt, length, { ...cost, maxmem: MAX_MEMORY_BYTES });

/** Says whether `password` has this hash, in a time that does not depend on where they differ. @throws TypeError when the stored hash is none. */
export async function checkPassword(password: string, stored: string, derive: Derive): Promise<boolean> {
  const { cost, salt, hash } = readPasswordHash(stored);
  return timingSafeEqual(await derive(password, salt, hash.byteLength, cost), hash);
}

function readPasswordHash(stored: string): PasswordHash {
  const [, N, r, p, salt = '', hash = ''] = FORMAT.exec(stored) ?? [];
  if (hash === '') throw new TypeError('the stored password hash is not one of scrypt');
  return {
    cost: { N: Number(N), r: Number(r), p: Number(p) },
    salt: Buffer.from(salt, 'base64url'),
    hash: Buffer.from(hash, 'base64url'),
  };
}
