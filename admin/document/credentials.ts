// Makes credentials of what a body says: keys and passwords are hashed, secrets sealed; and shows them without either.
// Must not log, and must not keep a secret in clear.
import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import type { Credential } from '../../gateway/core/model.ts';
import { hashKey, openSecret, sealSecret } from '../../gateway/sources/secrets.ts';
import { invalidField } from '../errors.ts';
import { toEntity } from './apis.ts';
import type { Input } from './read.ts';

/** Smallest and largest RSA key accepted, in bits. Larger ones cost each verification too much. */
const RSA_BITS = { min: 2048, max: 8192 };
const CURVES: Readonly<Record<string, string>> = { ES256: 'prime256v1', ES384: 'secp384r1', ES512: 'secp521r1' };

const PASSWORD_HASH = /^scrypt\$\d+\$\d+\$\d+\$[\w-]+\$[\w-]+$/;

/** Is a credential and, when the server made its secret, that secret: it is shown once. */
export interface MadeCredential {
  readonly credential: Credential;
  readonly shown: Readonly<Record<string, unknown>>;
}

/** Says whose credential it is, what it replaces, and the key that seals secrets. */
export interface CredentialContext {
  readonly consumerId: string;
  readonly existing: Credential | undefined;
  readonly secretKey: Uint8Array;
}

interface Made {
  readonly lookup: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly shown?: Readonly<Record<string, unknown>>;
}

/** Makes a credential. A body without a secret keeps the one that is there. @throws CONFIG_INVALID */
export function toCredential(input: Input, context: CredentialContext): MadeCredential {
  const { consumerId, existing } = context;
  const { type, tags } = input;
  if (existing !== undefined && existing.type !== type) throw invalidField('/type', `expected ${existing.type}`);
  const { lookup, data, shown = {} } = makeSecret(input, context);
  const credential = toEntity<'credential'>({ id: input['id'], type, tags, consumerId, lookup, data }, existing);
  return { credential, shown };
}

function makeSecret(input: Input, context: CredentialContext): Made {
  if (input['type'] === 'key-auth') return makeKey(input, context);
  if (input['type'] === 'basic-auth') return makeBasic(input, context);
  return makeJwt(input, context);
}

function makeKey(input: Input, { existing }: CredentialContext): Made {
  const given = findOne(input, ['key', 'keyHash']);
  if (given === 'key') return { lookup: hashKey(String(input['key'])), data: {} };
  if (given === 'keyHash') return { lookup: String(input['keyHash']), data: {} };
  if (existing !== undefined) return { lookup: existing.lookup, data: {} };
  const key = `sp_${randomBytes(32).toString('base64url')}`;
  return { lookup: hashKey(key), data: {}, shown: { key } };
}

function makeBasic(input: Input, { existing }: CredentialContext): Made {
  const lookup = String(input['username']);
  if (findOne(input, ['password', 'passwordHash']) !== undefined) {
    // Passwords were hashed before (seal.ts), outside of the transaction.
    if (!PASSWORD_HASH.test(String(input['passwordHash'])))
      throw invalidField('/passwordHash', 'expected an exported hash');
    return { lookup, data: { passwordHash: String(input['passwordHash']) } };
  }
  if (existing === undefined) throw invalidField('/password', 'required field missing');
  return { lookup, data: existing.data };
}

function makeJwt(input: Input, { existing, secretKey }: CredentialContext): Made {
  const algorithm = String(input['algorithm']);
  const lookup = String(input['key']);
  const given = findOne(input, ['secret', 'sealedSecret', 'publicKey']);
  const isShared = algorithm.startsWith('HS');
  if (given === undefined && existing !== undefined && existing.data['algorithm'] === algorithm) {
    return { lookup, data: keepKey(input, existing, secretKey) };
  }
  if (given === undefined) throw invalidField(isShared ? '/secret' : '/publicKey', 'required field missing');
  if (isShared === (given === 'publicKey')) {
    throw invalidField(`/${given}`, `${algorithm} takes a ${isShared ? 'secret' : 'publicKey'}`);
  }
  if (given === 'publicKey')
    return { lookup, data: { algorithm, publicKey: readPublicKey(algorithm, String(input[given])) } };
  return { lookup, data: { algorithm, ...makeSecretData(input, algorithm, existing, secretKey) } };
}

/** Keeps the key that is there; a shared secret in the encoding that the body names. */
function keepKey(input: Input, { data }: Credential, secretKey: Uint8Array): Credential['data'] {
  const { secretEncoding } = input;
  if (data['secret'] === undefined || data['secretEncoding'] === secretEncoding) return data;
  checkSecret(
    '/secretEncoding',
    String(data['algorithm']),
    openSealed(secretKey, String(data['secret'])),
    String(secretEncoding),
  );
  return { ...data, secretEncoding };
}

/** Seals a shared secret; one that equals what is sealed already keeps its sealed form, so that writing it again is no change. */
function makeSecretData(
  input: Input,
  algorithm: string,
  existing: Credential | undefined,
  secretKey: Uint8Array,
): Readonly<Record<string, unknown>> {
  const secretEncoding = String(input['secretEncoding']);
  const sealedBefore = existing?.data['secret'];
  if (input['sealedSecret'] !== undefined) {
    const sealed = String(input['sealedSecret']);
    checkSecret('/sealedSecret', algorithm, openSealed(secretKey, sealed), secretEncoding);
    return { secret: sealed, secretEncoding };
  }
  const secret = String(input['secret']);
  checkSecret('/secret', algorithm, secret, secretEncoding);
  const isSame = typeof sealedBefore === 'string' && tryOpen(secretKey, sealedBefore) === secret;
  return { secret: isSame ? sealedBefore : sealSecret(secretKey, secret), secretEncoding };
}

/** @see RFC 7518 section 3.2: a key of at least the size of the hash. */
function checkSecret(pointer: string, algorithm: string, secret: string, encoding: string): void {
  if (encoding === 'base64url' && !/^[A-Za-z0-9_-]+={0,2}$/.test(secret))
    throw invalidField(pointer, 'expected base64url');
  const bytes = Buffer.byteLength(secret, encoding === 'base64url' ? 'base64url' : 'utf8');
  const needed = Number(algorithm.slice(2)) / 8;
  if (bytes < needed) throw invalidField(pointer, `expected at least ${needed} bytes for ${algorithm}, got ${bytes}`);
}

function openSealed(secretKey: Uint8Array, sealed: string): string {
  const secret = tryOpen(secretKey, sealed);
  if (secret === undefined)
    throw invalidField('/sealedSecret', "expected a secret sealed with this installation's key");
  return secret;
}

function tryOpen(secretKey: Uint8Array, sealed: string): string | undefined {
  try {
    return openSecret(secretKey, sealed);
  } catch {
    return undefined;
  }
}

function readPublicKey(algorithm: string, pem: string): string {
  // A private key would be read as its public half, and then lie in the database in clear.
  if (/PRIVATE KEY/.test(pem)) throw invalidField('/publicKey', 'expected a public key, got a private one');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw invalidField('/publicKey', 'expected a public key in PEM form');
  }
  const fault = findKeyFault(algorithm, key);
  if (fault !== undefined) throw invalidField('/publicKey', fault);
  return String(key.export({ type: 'spki', format: 'pem' }));
}

function findKeyFault(algorithm: string, key: KeyObject): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const curve = CURVES[algorithm];
  if (curve !== undefined) {
    return type === 'ec' && details?.namedCurve === curve ? undefined : `${algorithm} takes an EC key on ${curve}`;
  }
  if (type !== 'rsa' && !(type === 'rsa-pss' && algorithm.startsWith('PS'))) return `${algorithm} takes an RSA key`;
  const bits = details?.modulusLength ?? 0;
  return bits >= RSA_BITS.min && bits <= RSA_BITS.max
    ? undefined
    : `expected an RSA key of ${RSA_BITS.min} to ${RSA_BITS.max} bits, got ${bits}`;
}

function findOne(input: Input, names: readonly string[]): string | undefined {
  const given = names.filter((name) => input[name] !== undefined);
  const [first, second] = given;
  if (second !== undefined) throw invalidField(`/${second}`, `expected only one of ${names.join(', ')}`);
  return first;
}

/** Shows a credential as REST does: nothing that could stand for it. */
export function showCredential({ id, type, lookup, data, tags, createdAt, updatedAt }: Credential): Input {
  const base = { id, type };
  const times = { tags, createdAt, updatedAt };
  if (type === 'key-auth') return { ...base, ...times };
  if (type === 'basic-auth') return { ...base, username: lookup, ...times };
  return { ...base, key: lookup, ...pick(data, ['algorithm', 'secretEncoding', 'publicKey']), ...times };
}

/** Shows a credential as an export does: hashed or sealed, so that it can be written again. */
export function exportCredential(credential: Credential): Input {
  const { createdAt: _created, updatedAt: _updated, ...shown } = showCredential(credential);
  if (credential.type === 'key-auth') return { ...shown, keyHash: credential.lookup };
  if (credential.type === 'basic-auth') return { ...shown, ...pick(credential.data, ['passwordHash']) };
  const { secret } = credential.data;
  return secret === undefined ? shown : { ...shown, sealedSecret: secret };
}

function pick(data: Readonly<Record<string, unknown>>, names: readonly string[]): Input {
  return Object.fromEntries(names.flatMap((name) => (data[name] === undefined ? [] : [[name, data[name]]])));
}
