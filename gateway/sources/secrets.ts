// Turns secrets into what may be stored: hashes for what is only compared, sealed boxes for what must be read back.
// Must not log, keep or cache a secret.
import { createCipheriv, createDecipheriv, createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/** Bytes of the key that seals secrets. */
const SECRET_KEY_BYTES = 32;

const SEAL_VERSION = 'v1';
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** Cost of new hashes: 16 MiB and about 40 ms of one core. @see OWASP Password Storage Cheat Sheet, scrypt */
const SCRYPT = { N: 2 ** 14, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** What a stored hash may cost at most: its parameters come from outside when a configuration is imported. */
const MAX_SCRYPT_MEMORY_BYTES = 64 * 1024 * 1024;
const MAX_SCRYPT_PARALLEL = 4;

const PASSWORD_HASH = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9_-]{16,128})\$([A-Za-z0-9_-]{22,128})$/;

const derive: (
  password: string,
  salt: Buffer,
  length: number,
  options: { N: number; r: number; p: number; maxmem: number },
) => Promise<Buffer> = promisify(scrypt);

/** Gives the lookup value of an API key: base64url of its SHA-256. Keys are long and random, so no salt is needed. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url');
}

/**
 * Seals a text with AES-256-GCM; the result differs each time and reads `v1.<iv>.<tag>.<ciphertext>`.
 * @throws RangeError when the key is not of 32 bytes.
 */
export function sealSecret(key: Uint8Array, plain: string): string {
  checkKey(key);
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  const sealed = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
  return [SEAL_VERSION, ...[iv, cipher.getAuthTag(), sealed].map((part) => part.toString('base64url'))].join('.');
}

/** Opens what `sealSecret` made. @throws Error when it was sealed with another key or changed since. */
export function openSecret(key: Uint8Array, sealed: string): string {
  checkKey(key);
  const [version, iv, tag, text] = sealed.split('.').map((part) => Buffer.from(part, 'base64url'));
  // A shorter tag would be accepted by the cipher and be easier to forge.
  const isWellFormed = sealed.startsWith(`${SEAL_VERSION}.`) && iv?.length === IV_BYTES && tag?.length === TAG_BYTES;
  if (!isWellFormed || version === undefined || iv === undefined || tag === undefined || text === undefined) {
    throw new Error('expected a sealed secret: v1.<iv>.<tag>.<ciphertext>');
  }
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  decipher.setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8');
  } catch (error) {
    throw new Error('a sealed secret does not open: it was sealed with another key, or changed', { cause: error });
  }
}

/** Hashes a password with scrypt and a new salt: `scrypt$<N>$<r>$<p>$<salt>$<hash>`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, HASH_BYTES, { ...SCRYPT, maxmem: MAX_SCRYPT_MEMORY_BYTES });
  const { N, r, p } = SCRYPT;
  return `scrypt$${N}$${r}$${p}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

/** Says whether `password` is the one that was hashed. False too for what is no such hash, or would cost too much to try. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, N, r, p, salt, hash] = PASSWORD_HASH.exec(stored) ?? [];
  if (salt === undefined || hash === undefined) return false;
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  const isAffordable = 128 * cost.N * cost.r <= MAX_SCRYPT_MEMORY_BYTES && cost.p <= MAX_SCRYPT_PARALLEL;
  if (!isAffordable) return false;
  const expected = Buffer.from(hash, 'base64url');
  try {
    const maxmem = 2 * MAX_SCRYPT_MEMORY_BYTES;
    const actual = await derive(password, Buffer.from(salt, 'base64url'), expected.length, { ...cost, maxmem });
    return timingSafeEqual(actual, expected);
  } catch {
    // N is no power of two, or a parameter is 0: nobody's password.
    return false;
  }
}

function checkKey(key: Uint8Array): void {
  if (key.length !== SECRET_KEY_BYTES) throw new RangeError(`expected a key of ${SECRET_KEY_BYTES} bytes`);
}
