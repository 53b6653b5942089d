// A credentials directory over a list: what `exchange.consumers` is in a test.
// Must not know how a plugin proves a credential: only how each type is stored.
import { createHash, randomBytes, scryptSync } from 'node:crypto';
import { GatewayError } from '../core/errors.ts';
import type { Consumer, Credential } from '../core/model.ts';
import type { CredentialFinder, Identity } from '../core/plugin.ts';

/** Is a credential as an operator writes it: `type` and the fields of that type in clear. */
export interface CredentialOptions {
  readonly type: string;
  /** key-auth: the API key. jwt: the `iss` it is found by. */
  readonly key?: string;
  /** basic-auth. */
  readonly username?: string;
  /** basic-auth. */
  readonly password?: string;
  /** Finds a credential of any other type. */
  readonly lookup?: string;
  /** Everything else lands in `Credential.data` as it is, like jwt's `algorithm`, `secret`, `publicKey`. */
  readonly [field: string]: unknown;
}

/** Is a consumer with its credentials inside, as in the declarative configuration. */
export interface ConsumerOptions extends Partial<Omit<Consumer, 'username'>> {
  readonly username: string;
  readonly credentials?: readonly CredentialOptions[];
}

/** Is a directory in the test's hand. */
export interface TestConsumers extends CredentialFinder {
  /** Lookups asked so far, in order, as `type lookup`. */
  readonly asked: readonly string[];
  /** Gives the identity of the consumer's first credential (of `type`). @throws TypeError when there is none. */
  identityOf(username: string, type?: string): Identity;
  /** Adds a consumer, or replaces the one of that name and all its credentials. */
  put(consumer: ConsumerOptions): void;
  /** Takes a consumer away with its credentials. */
  remove(username: string): void;
  /** From now on: `sync` (default), `async` (every answer is a promise), `down` (throws CANNOT_VERIFY). */
  answer(mode: 'sync' | 'async' | 'down'): void;
}

const EPOCH = '2026-01-01T00:00:00.000Z';

/** Builds a directory that knows these consumers. Ids are made where absent, and stay the same from run to run. */
export function fakeConsumers(...list: readonly ConsumerOptions[]): TestConsumers {
  const identities = new Map<string, readonly Identity[]>();
  const asked: string[] = [];
  let mode: 'sync' | 'async' | 'down' = 'sync';
  let made = 0;
  const nextId = (): string => `00000000-0000-4000-8000-${String(++made).padStart(12, '0')}`;
  const put = ({ credentials = [], ...given }: ConsumerOptions): void => {
    const stamps = { tags: [], createdAt: EPOCH, updatedAt: EPOCH };
    const consumer: Consumer = { id: nextId(), groups: [], ...stamps, ...given };
    const stored = credentials.map((options) => ({
      consumer,
      credential: { id: nextId(), consumerId: consumer.id, ...stamps, ...storedForm(options) },
    }));
    identities.set(consumer.username, stored);
  };
  const find = (type: string, lookup: string): Identity | undefined =>
    [...identities.values()].flat().find(({ credential }) => credential.type === type && credential.lookup === lookup);
  for (const consumer of list) put(consumer);
  return {
    asked,
    put,
    remove: (username) => void identities.delete(username),
    answer(next) {
      mode = next;
    },
    identityOf(username, type) {
      const found = identities.get(username)?.find(({ credential }) => !type || credential.type === type);
      if (!found) throw new TypeError(`${username} has no such credential`);
      return found;
    },
    findByCredential(type, lookup) {
      asked.push(`${type} ${lookup}`);
      if (mode === 'down') throw new GatewayError('CANNOT_VERIFY', 'the credentials directory is out of reach');
      return mode === 'async' ? Promise.resolve(find(type, lookup)) : find(type, lookup);
    },
  };
}

/** Gives what the store keeps of a credential. @see model.ts, `Credential` */
function storedForm(options: CredentialOptions): Pick<Credential, 'type' | 'lookup' | 'data'> {
  const { type, key = '', username = '', password, lookup, ...data } = options;
  if (type === 'key-auth') {
    return { type, lookup: lookup ?? createHash('sha256').update(key).digest('base64url'), data };
  }
  if (type === 'basic-auth') {
    const passwordHash = password === undefined ? {} : { passwordHash: hashPassword(password) };
    return { type, lookup: lookup ?? username, data: { ...passwordHash, ...data } };
  }
  return { type, lookup: lookup ?? key, data };
}

/** Gives a real hash, but a cheap one: a suite makes dozens. */
function hashPassword(password: string): string {
  const [cost, blockSize, parallelism] = [1024, 8, 1];
  const salt = randomBytes(16);
  const hash = scryptSync(password, salt, 32, { N: cost, r: blockSize, p: parallelism });
  return `scrypt$${cost}$${blockSize}$${parallelism}$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}
