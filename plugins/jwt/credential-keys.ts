// Keys of consumers: each credential has one key and one algorithm.
// Must not accept a key for another algorithm than its own: that is how a public key becomes an HMAC secret.
import { createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { type Credential, GatewayError, type Logger } from 'sallyport/plugin';
import type { Token } from './token.ts';

/** Shortest RSA modulus. @see RFC 7518 section 3.3 */
export const MIN_RSA_BITS = 2048;

/** Gives the key of a credential; the same object for as long as the directory gives the same credential. */
export interface CredentialKeys {
  /**
   * Gives the key, or undefined when the token names another algorithm than the credential.
   * @throws CANNOT_VERIFY when the credential holds no usable key: the token may well be good.
   */
  find(token: Token, credential: Credential): KeyObject | undefined;
}

/** Builds the keys of consumers. */
export function buildCredentialKeys(log: Logger): CredentialKeys {
  // A change replaces the credential object, and with it the key and every token that was verified with it.
  const keys = new WeakMap<Credential, KeyObject>();
  return {
    find({ algorithm }, credential) {
      if (credential.data['algorithm'] !== algorithm) return undefined;
      const known = keys.get(credential);
      if (known) return known;
      try {
        const key = readKey(credential);
        keys.set(credential, key);
        return key;
      } catch (cause) {
        log.error('the key of a credential cannot be used', { credential: credential.id });
        throw new GatewayError('CANNOT_VERIFY', 'the key of the issuer cannot be used', { cause });
      }
    },
  };
}

function readKey({ data }: Credential): KeyObject {
  const { algorithm, secret, secretEncoding, publicKey } = data;
  if (String(algorithm).startsWith('HS')) {
    if (typeof secret !== 'string' || secret === '') throw new TypeError('no secret');
    return createSecretKey(secret, secretEncoding === 'base64url' ? 'base64url' : 'utf8');
  }
  if (typeof publicKey !== 'string') throw new TypeError('no public key');
  const key = createPublicKey(publicKey);
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < MIN_RSA_BITS) throw new TypeError(`an RSA key of less than ${MIN_RSA_BITS} bits`);
  return key;
}
