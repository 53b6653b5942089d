// Finds who calls by the bearer token, and slows down whoever guesses.
// Must not know what a route does.
import type { IncomingMessage } from 'node:http';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { Actor } from '../call.ts';
import { AdminError } from '../errors.ts';

/** Wrong tokens that one address may send in a minute before it is told to wait. */
const MAX_FAILURES_PER_MINUTE = 30;

const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="sallyport"' };

/** Finds the actor of a request. */
export type Authenticate = (request: IncomingMessage) => Promise<Actor>;

/**
 * Builds the check of bearer tokens. A valid token always passes, whatever its address did before: else anyone behind the
 * same address could lock out the operator.
 *
 * @throws TOKEN_INVALID, and TOO_MANY_FAILURES with Retry-After when the address sent too many wrong tokens.
 */
export function createAuthenticate(findActor: (token: string) => Promise<Actor | undefined>): Authenticate {
  const failures = new RateLimiterMemory({ points: MAX_FAILURES_PER_MINUTE, duration: 60 });
  return async (request) => {
    const [, token] = /^Bearer +([\x21-\x7e]{1,512}) *$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token === undefined) {
      throw new AdminError('TOKEN_INVALID', 'Send Authorization: Bearer TOKEN.', { headers: CHALLENGE });
    }
    const actor = await findActor(token);
    if (actor !== undefined) return actor;
    await countFailure(failures, request.socket.remoteAddress ?? '');
    const headers = { 'WWW-Authenticate': `${CHALLENGE['WWW-Authenticate']}, error="invalid_token"` };
    throw new AdminError('TOKEN_INVALID', 'The token is unknown or revoked.', { headers });
  };
}

async function countFailure(failures: RateLimiterMemory, address: string): Promise<void> {
  try {
    await failures.consume(address);
  } catch (verdict) {
    if (!(verdict instanceof RateLimiterRes)) throw verdict;
    const seconds = Math.max(1, Math.ceil(verdict.msBeforeNext / 1000));
    throw new AdminError('TOO_MANY_FAILURES', `Wait ${seconds} s before the next try.`, {
      headers: { 'Retry-After': String(seconds) },
    });
  }
}
