// Checks passwords at a bounded cost: what was verified is remembered for a minute, and few checks run at once.
// Must not keep a password or anything from which one could be guessed without this process's own random key.
import { createHmac, randomBytes } from 'node:crypto';
import { type Clock, GatewayError, type MaybePromise } from 'sallyport/plugin';
import { checkPassword, type Derive } from './password-hash.ts';

/** Is what a caller claims. */
export interface Claim {
  readonly username: string;
  readonly password: string;
}

/** Checks a claim against a stored hash, or against nobody's: that costs the same and is always false. */
export interface Verifier {
  /** @throws CANNOT_VERIFY when too many checks wait, TypeError when the stored hash is broken. */
  verify(claim: Claim, storedHash: string | undefined): MaybePromise<boolean>;
}

/** How long a verified password is believed; a change of the password forgets it at once. */
const REMEMBER_MS = 60_000;
/** About 2 MB. */
const MAX_REMEMBERED = 10_000;
/** Two of the four threads of Node's pool: files and name lookups need the others. */
const MAX_RUNNING = 2;
/** At about 50 ms a check the last in the queue waits less than two seconds. */
const MAX_WAITING = 64;

/** Hash of a password that nobody has, of the cost the control plane uses: an unknown user must not be answered faster. */
const NOBODY = `scrypt$16384$8$1$${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** Builds a verifier with a memory of its own. */
export function buildVerifier(clock: Clock, derive: Derive): Verifier {
  const processKey = randomBytes(32);
  const verifiedUntil = new Map<string, number>();
  const running = new Map<string, Promise<boolean>>();
  const queue = buildQueue();

  const remember = (id: string): void => {
    verifiedUntil.delete(id);
    verifiedUntil.set(id, clock.monotonicMs() + REMEMBER_MS);
    // Insertion order is the order of expiry: the first is the oldest.
    const [oldest] = verifiedUntil.keys();
    if (verifiedUntil.size > MAX_REMEMBERED && oldest !== undefined) verifiedUntil.delete(oldest);
  };
  const check = async (id: string, password: string, storedHash: string): Promise<boolean> => {
    try {
      const isRight = await queue(() => checkPassword(password, storedHash, derive));
      if (isRight) remember(id);
      return isRight;
    } finally {
      running.delete(id);
    }
  };

  return {
    verify({ username, password }, storedHash = NOBODY) {
      // The stored hash is part of the name: a changed password is another name, and the old one is never asked again.
      const name = JSON.stringify([username, password, storedHash]);
      const id = createHmac('sha256', processKey).update(name).digest('base64url');
      if ((verifiedUntil.get(id) ?? 0) > clock.monotonicMs()) return true;
      // A client that opens 64 connections at once pays for one check, not for 64.
      const answer = running.get(id) ?? check(id, password, storedHash);
      running.set(id, answer);
      return storedHash === NOBODY ? answer.then(() => false) : answer;
    },
  };
}

/** Runs few jobs at once and lets few wait. */
function buildQueue(): <T>(job: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (job) => {
    if (running >= MAX_RUNNING) {
      if (waiting.length >= MAX_WAITING) {
        throw new GatewayError('CANNOT_VERIFY', 'too many passwords to check', { headers: { 'retry-after': '1' } });
      }
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else {
      running += 1;
    }
    try {
      return await job();
    } finally {
      // The place passes straight to the next: nobody who comes now can overtake.
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
