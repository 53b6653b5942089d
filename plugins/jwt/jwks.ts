// Keys of an issuer that publishes them: fetched when they are old or a token names an unknown one, within bounds.
// Must not fetch anything that a token names.
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Algorithm } from 'jsonwebtoken';
import { GatewayError, type Host, type MaybePromise, readJson } from 'sallyport/plugin';
import type { JwksConfig } from './config.ts';
import { MIN_RSA_BITS } from './credential-keys.ts';
import type { Token } from './token.ts';

/** Keeps the keys of one issuer. */
export interface Jwks {
  /**
   * Gives the one key that fits the token.
   * @throws CANNOT_VERIFY when the key set is out of reach and no key that is known fits.
   */
  find(token: Token): MaybePromise<KeyObject | undefined>;
  /** Says whether `key` still stands in the set. Asks for a fresh set in the background when it is old. */
  isCurrent(key: KeyObject): boolean;
}

/** Is one key of a set, with the algorithms it may be used with. */
interface PublishedKey {
  readonly id: string | undefined;
  readonly algorithms: readonly Algorithm[];
  readonly key: KeyObject;
}

const DEFAULT_MAX_AGE_SECONDS = 300;
const DEFAULT_COOLDOWN_SECONDS = 30;
/** Below the time limit of the plugin, so that the request can still be answered. */
const TIMEOUT_MS = 3_000;
/** A hundred RSA keys with certificates. */
const MAX_BYTES = 524_288;

/** More keys than any issuer has at a time. */
const MAX_KEYS = 100;

const RSA_ALGORITHMS: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'];
const EC_ALGORITHMS: ReadonlyMap<unknown, Algorithm> = new Map([
  ['P-256', 'ES256'],
  ['P-384', 'ES384'],
  ['P-521', 'ES512'],
]);

/** Builds the keeper of a key set; nothing is fetched before the first token. */
export function buildJwks(config: JwksConfig, host: Pick<Host, 'clock' | 'fetch' | 'log'>): Jwks {
  const maxAgeMs = (config.maxAgeSeconds ?? DEFAULT_MAX_AGE_SECONDS) * 1000;
  const cooldownMs = (config.cooldownSeconds ?? DEFAULT_COOLDOWN_SECONDS) * 1000;
  let keys: readonly PublishedKey[] = [];
  let readAt = -Infinity;
  let triedAt = -Infinity;
  let hasFailed = false;
  let running: Promise<void> | undefined;

  const refresh = async (): Promise<void> => {
    try {
      const { status, body } = await host.fetch(config.jwksUrl, { timeoutMs: TIMEOUT_MS, maxBytes: MAX_BYTES });
      if (status !== 200) throw new Error(`the key set answers ${status}`);
      keys = readKeySet(readJson(body));
      readAt = host.clock.monotonicMs();
      hasFailed = false;
    } catch (error) {
      // The old keys stay: an issuer that is down for an hour must not lock out everybody.
      hasFailed = true;
      host.log.warn('the key set cannot be read', { url: config.jwksUrl, error: String(error) });
    } finally {
      running = undefined;
    }
  };
  /** Gives the refresh in flight, or starts one unless the last try is too recent: random key ids cost one fetch. */
  const startRefresh = (): Promise<void> | undefined => {
    if (running || host.clock.monotonicMs() - triedAt < cooldownMs) return running;
    triedAt = host.clock.monotonicMs();
    running = refresh();
    return running;
  };
  const refreshWhenOld = (): void => {
    if (host.clock.monotonicMs() - readAt >= maxAgeMs) void startRefresh();
  };
  const giveUp = (): undefined => {
    if (hasFailed) throw new GatewayError('CANNOT_VERIFY', 'the key set of the issuer is out of reach');
    return undefined;
  };

  return {
    isCurrent(key) {
      refreshWhenOld();
      return keys.some((published) => published.key === key);
    },
    find(token) {
      const key = findKey(keys, token);
      if (key) {
        refreshWhenOld();
        return key;
      }
      return startRefresh()?.then(() => findKey(keys, token) ?? giveUp()) ?? giveUp();
    },
  };
}

/** A token without a key id fits only a set in which one key is possible: trying one after the other is work for free. */
function findKey(keys: readonly PublishedKey[], { algorithm, keyId }: Token): KeyObject | undefined {
  const fitting = keys.filter(
    ({ id, algorithms }) => algorithms.includes(algorithm) && (keyId === undefined || id === keyId),
  );
  return fitting.length === 1 ? fitting[0]?.key : undefined;
}

/** Reads the keys that can verify a signature and skips the others. @throws TypeError when it is no key set. @see RFC 7517 */
function readKeySet(value: unknown): readonly PublishedKey[] {
  const list = isRecord(value) ? value['keys'] : undefined;
  if (!Array.isArray(list) || list.length > MAX_KEYS) throw new TypeError('this is no key set');
  return list.flatMap((entry) => readKey(entry) ?? []);
}

function readKey(jwk: unknown): PublishedKey | undefined {
  if (!isRecord(jwk)) return undefined;
  const { kid, use, key_ops: operations, alg } = jwk;
  // An encryption key must not verify: its owner never meant it to speak.
  if (use !== undefined && use !== 'sig') return undefined;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined;
  const algorithms = algorithmsOf(jwk).filter((algorithm) => alg === undefined || alg === algorithm);
  const key = algorithms.length > 0 ? readPublicKey(jwk) : undefined;
  return key && { id: typeof kid === 'string' ? kid : undefined, algorithms, key };
}

/** Symmetric keys (`oct`) have none: a published secret is no secret. */
function algorithmsOf({ kty, crv }: Readonly<Record<string, unknown>>): readonly Algorithm[] {
  if (kty === 'RSA') return RSA_ALGORITHMS;
  const algorithm = kty === 'EC' ? EC_ALGORITHMS.get(crv) : undefined;
  return algorithm ? [algorithm] : [];
}

function readPublicKey(jwk: Readonly<Record<string, unknown>>): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    return (key.asymmetricKeyDetails?.modulusLength ?? MIN_RSA_BITS) >= MIN_RSA_BITS ? key : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
