// Verifies a token that has been read: signature, times, audience, issuer.
// Must not choose a key, nor let the token choose.
import type { KeyObject } from 'node:crypto';
import jsonwebtoken from 'jsonwebtoken';
import type { Config } from './config.ts';
import type { Token } from './token.ts';

/** Says whether the claims hold now; undefined = yes, else why not, in words for the client. */
export function checkClaims({ claims }: Token, config: Config, nowMs: number): string | undefined {
  const now = Math.floor(nowMs / 1000);
  const { exp: expiry, nbf: start, aud, iss } = claims;
  if (config.claimsToVerify.includes('exp')) {
    if (typeof expiry !== 'number') return 'the token has no expiry';
    if (now >= expiry + config.clockSkewSeconds) return 'the token has expired';
  }
  if (config.claimsToVerify.includes('nbf') && typeof start === 'number' && now < start - config.clockSkewSeconds) {
    return 'the token is not valid yet';
  }
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  if (config.audience.length > 0 && !config.audience.some((wanted) => audiences.includes(wanted))) {
    return 'the token is for another audience';
  }
  if (config.issuer.length > 0 && !config.issuer.some((wanted) => wanted === iss)) {
    return 'the token is from another issuer';
  }
  return undefined;
}

/** Says whether `key` made the signature, with the token's algorithm and no other. */
export function isSignedBy(key: KeyObject, text: string, { algorithm }: Token): boolean {
  try {
    // Claims are ours to check, with the gateway's clock and with every request: the signature is checked once.
    jsonwebtoken.verify(text, key, { algorithms: [algorithm], ignoreExpiration: true, ignoreNotBefore: true });
    return true;
  } catch {
    return false;
  }
}
