// Ed25519 keys: makes them, names them, reads and writes them as text.
// Must not store a key, nor choose whom to trust.
import {
  createCipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  scryptSync,
} from 'node:crypto';
import { PackageError, reasonOf } from './errors.ts';

/** Cost of a passphrase by scrypt: 16 MiB and about 50 ms, the most that OpenSSL's own reader allows for. @see RFC 7914 */
const SCRYPT = { N: 16_384, r: 8, p: 1 } as const;
/** Longest text of keys that is read. */
const MAX_TEXT_LENGTH = 16_384;
const PEM_PUBLIC = /-----BEGIN PUBLIC KEY-----[\s\S]*?-----END PUBLIC KEY-----/g;

/** Is a key pair and its name. */
export interface KeyPair {
  readonly keyid: string;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

/** Is a public key as root and index list it. */
export interface KeyEntry {
  /** Lower-case hex SHA-256 of the SPKI in DER. */
  readonly keyid: string;
  /** SPKI in DER, as base64. */
  readonly publicKey: string;
}

/** Makes a key pair. */
export function generateKeys(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  return { keyid: keyIdOf(publicKey), publicKey, privateKey };
}

/** Names a key: hex SHA-256 of its public half (SPKI in DER), so that no name can stand for two keys. */
export function keyIdOf(key: KeyObject): string {
  return createHash('sha256').update(writeDer(key)).digest('hex');
}

/** Gives the public half of a key as root and index list it. */
export function toKeyEntry(key: KeyObject): KeyEntry {
  return { keyid: keyIdOf(key), publicKey: writeDer(key).toString('base64') };
}

/** Reads a public key, PEM or base64 of its SPKI. @throws PackageError KEY_INVALID unless it is one Ed25519 key. */
export function readPublicKey(text: string): KeyObject {
  const keys = [...readPublicKeys(text).values()];
  const [key] = keys;
  if (!key || keys.length > 1) throw invalid('expected one public key');
  return key;
}

/** Reads public keys by their id: PEM blocks one after another, or one base64 SPKI. @throws PackageError KEY_INVALID */
export function readPublicKeys(text: string): ReadonlyMap<string, KeyObject> {
  if (text.length > MAX_TEXT_LENGTH) throw invalid(`longer than ${MAX_TEXT_LENGTH} characters`);
  // A private key gives a public one as well, but has no business where public ones are read.
  if (text.includes('PRIVATE KEY')) throw invalid('expected a public key, not a private one');
  const blocks = text.includes('-----BEGIN') ? text.match(PEM_PUBLIC) : [text.trim()];
  const keys = (blocks ?? []).map(readOne);
  if (keys.length === 0) throw invalid('expected a public key, PEM or base64');
  return new Map(keys.map((key) => [keyIdOf(key), key]));
}

function readOne(text: string): KeyObject {
  if (text.startsWith('-----')) return checkCurve(read(() => createPublicKey(text)));
  const der = Buffer.from(text, 'base64');
  if (der.toString('base64') !== text) throw invalid('expected PEM or base64');
  const key = checkCurve(read(() => createPublicKey({ key: der, format: 'der', type: 'spki' })));
  // One key, one spelling: what is written after the structure, or otherwise encoded, would be lost in silence.
  if (!writeDer(key).equals(der)) throw invalid('the key is not DER in its one form');
  return key;
}

/** Reads the keys of a list by id. @throws PackageError KEY_INVALID when an id is not its key's. */
export function readKeyEntries(entries: readonly KeyEntry[]): ReadonlyMap<string, KeyObject> {
  const keys = entries.map(({ keyid, publicKey }): [string, KeyObject] => {
    const key = readPublicKey(publicKey);
    if (keyIdOf(key) !== keyid) throw invalid(`${keyid} is not the id of its key`);
    return [keyid, key];
  });
  return new Map(keys);
}

/** Reads a private key. @throws PackageError KEY_INVALID when it is none, or the passphrase is missing or wrong. */
export function readPrivateKey(pem: string, passphrase?: string): KeyObject {
  if (pem.length > MAX_TEXT_LENGTH) throw invalid(`longer than ${MAX_TEXT_LENGTH} characters`);
  const isEncrypted = pem.includes('ENCRYPTED PRIVATE KEY');
  if (isEncrypted && !passphrase) throw invalid('the key needs its passphrase');
  // Without a passphrase OpenSSL would ask for one at the terminal.
  const open = (): KeyObject => createPrivateKey({ key: pem, format: 'pem', passphrase: passphrase ?? '' });
  return checkCurve(isEncrypted ? decrypt(open) : read(open));
}

/** One wrong passphrase in 256 decrypts to well-padded noise, which OpenSSL calls no key. */
function decrypt(reader: () => KeyObject): KeyObject {
  try {
    return reader();
  } catch (cause) {
    const isPadding = cause instanceof Error && 'code' in cause && cause.code === 'ERR_OSSL_BAD_DECRYPT';
    const message = isPadding ? 'the passphrase is wrong' : 'the passphrase is wrong, or the key is damaged';
    throw new PackageError('KEY_INVALID', message, { cause });
  }
}

/** Writes the public half of a key as PEM. */
export function writePublicKey(key: KeyObject): string {
  return writePem('PUBLIC KEY', writeDer(key));
}

/** Writes a private key as PEM of PKCS#8, encrypted when there is a passphrase. */
export function writePrivateKey(key: KeyObject, passphrase?: string): string {
  const der = key.export({ format: 'der', type: 'pkcs8' });
  if (!passphrase) return writePem('PRIVATE KEY', der);
  return writePem('ENCRYPTED PRIVATE KEY', encrypt(der, passphrase));
}

/**
 * Encrypts PKCS#8 under a passphrase: PBES2 with scrypt and AES-256-CBC. Node's own export counts 2048 rounds of PBKDF2,
 * which a graphics card tries a million times a second. @see RFC 8018 section 6.2, RFC 7914 section 7
 */
function encrypt(der: Buffer, passphrase: string): Buffer {
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', scryptSync(passphrase, salt, 32, SCRYPT), iv);
  const sealed = Buffer.concat([cipher.update(der), cipher.final()]);
  const costs = [SCRYPT.N, SCRYPT.r, SCRYPT.p].map((cost) => tlv(0x02, writeInteger(cost)));
  const kdf = sequence(tlv(0x06, OIDS.scrypt), sequence(tlv(0x04, salt), ...costs));
  const scheme = sequence(tlv(0x06, OIDS.aes256Cbc), tlv(0x04, iv));
  return sequence(sequence(tlv(0x06, OIDS.pbes2), sequence(kdf, scheme)), tlv(0x04, sealed));
}

const OIDS = {
  /** 1.2.840.113549.1.5.13 */
  pbes2: Buffer.from('2a864886f70d01050d', 'hex'),
  /** 1.3.6.1.4.1.11591.4.11 */
  scrypt: Buffer.from('2b06010401da47040b', 'hex'),
  /** 2.16.840.1.101.3.4.1.42 */
  aes256Cbc: Buffer.from('60864801650304012a', 'hex'),
};

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts));
}

/** Writes one value of DER. Nothing here is longer than 255 bytes. */
function tlv(tag: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from(value.length < 128 ? [tag, value.length] : [tag, 0x81, value.length]), value]);
}

function writeInteger(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  // A leading one bit would make it negative.
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes]);
}

function writePem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

function writeDer(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'der', type: 'spki' });
}

function read(reader: () => KeyObject): KeyObject {
  try {
    return reader();
  } catch (cause) {
    throw new PackageError('KEY_INVALID', `the key cannot be read: ${reasonOf(cause)}`, { cause });
  }
}

function checkCurve(key: KeyObject): KeyObject {
  if (key.asymmetricKeyType !== 'ed25519') throw invalid(`expected an Ed25519 key, not ${key.asymmetricKeyType}`);
  return key;
}

function invalid(message: string): PackageError {
  return new PackageError('KEY_INVALID', message);
}
