// Verifies the token of a request and says whose it is.
// Never logs a token, and takes nothing from it before its signature holds but the name of the key.
import type { KeyObject } from 'node:crypto';
import {
  definePlugin,
  type Exchange,
  GatewayError,
  type Identity,
  type MaybePromise,
  type Plugin,
} from 'sallyport/plugin';
import type { Config } from './config.ts';
import { buildCredentialKeys, type CredentialKeys } from './credential-keys.ts';
import { buildJwks, type Jwks } from './jwks.ts';
import { findTokens, hideTokens } from './places.ts';
import { readToken, type Token } from './token.ts';
import { buildVerifiedTokens, type VerifiedTokens } from './verified.ts';
import { checkClaims, isSignedBy } from './verify.ts';

interface State {
  readonly nowMs: () => number;
  readonly verified: VerifiedTokens;
  readonly credentialKeys: CredentialKeys;
  readonly jwks: Jwks | undefined;
  /** Claim that names the consumer's credential; undefined = nobody is identified. */
  readonly subjectClaim: string | undefined;
}

/** Is one request on its way through the checks. */
interface Visit {
  readonly exchange: Exchange;
  readonly config: Config;
  readonly state: State;
  readonly text: string;
  readonly token: Token;
  /** The key that verified this very token before. */
  readonly knownKey: KeyObject | undefined;
}

/** Longest value a credential can be found by. */
const MAX_SUBJECT_LENGTH = 512;

/**
 * Identifies the consumer. @throws UNAUTHENTICATED when there is no token, more than one, or one that does not hold.
 * @throws CANNOT_VERIFY when the directory cannot say whose it is, or the key is out of reach.
 * @see RFC 8725, JSON Web Token best current practices
 */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup({ keysFrom }, host) {
    const isJwks = typeof keysFrom === 'object';
    return {
      nowMs: () => host.clock.wallMs(),
      verified: buildVerifiedTokens(host.clock),
      credentialKeys: buildCredentialKeys(host.log),
      jwks: isJwks ? buildJwks(keysFrom, host) : undefined,
      subjectClaim: isJwks ? keysFrom.consumerClaim : 'iss',
    };
  },

  onRequest(exchange, config, state) {
    const text = findOneToken(exchange, config);
    const known = state.verified.find(text);
    const token = known?.token ?? readToken(text, config.algorithms);
    if (!token) throw refusal('the token is malformed');

    const visit: Visit = { exchange, config, state, text, token, knownKey: known?.key };
    // The identity is asked for with every request: a credential that was taken away takes its tokens along at once.
    return andThen(findIdentity(visit), (identity) =>
      andThen(findKey(visit, identity), (key) => admit(visit, identity, key)),
    );
  },
});

function findOneToken(exchange: Exchange, config: Config): string {
  const tokens = findTokens(exchange, config);
  const [text] = tokens;
  if (text === undefined) {
    throw new GatewayError('UNAUTHENTICATED', 'send a token', {
      headers: { 'www-authenticate': 'Bearer realm="sallyport"' },
    });
  }
  // Whoever reads the other one would see another caller than we do.
  if (tokens.size > 1) throw refusal('send one token, not several');
  if (text.length > config.maxTokenBytes) throw refusal('the token is too long');
  return text;
}

function findIdentity({ exchange, state, token }: Visit): MaybePromise<Identity | undefined> {
  if (state.subjectClaim === undefined) return undefined;
  const subject = Object.hasOwn(token.claims, state.subjectClaim) ? token.claims[state.subjectClaim] : undefined;
  if (typeof subject !== 'string' || subject.length > MAX_SUBJECT_LENGTH) throw refusal('the token names nobody known');
  return andThen(exchange.consumers.findByCredential('jwt', subject), (identity) => {
    if (!identity) throw refusal('the token names nobody known');
    return identity;
  });
}

/** Gives the key that must have made the signature; the known one when it still is that key. */
function findKey(
  { state, token, knownKey }: Visit,
  identity: Identity | undefined,
): MaybePromise<KeyObject | undefined> {
  const { jwks, credentialKeys } = state;
  if (jwks) return knownKey && jwks.isCurrent(knownKey) ? knownKey : jwks.find(token);
  return identity && credentialKeys.find(token, identity.credential);
}

function admit(visit: Visit, identity: Identity | undefined, key: KeyObject | undefined): void {
  const { exchange, config, state, text, token, knownKey } = visit;
  const isSigned = key !== undefined && (key === knownKey || isSignedBy(key, text, token));
  if (!isSigned) throw refusal('the signature does not hold');
  if (key !== knownKey) state.verified.add(text, { token, key });
  const problem = checkClaims(token, config, state.nowMs());
  if (problem) throw refusal(problem);

  if (identity) exchange.identify(identity);
  if (config.hideCredentials) hideTokens(exchange, config);
}

function andThen<A, B>(value: MaybePromise<A>, next: (value: A) => MaybePromise<B>): MaybePromise<B> {
  return value instanceof Promise ? value.then(next) : next(value);
}

function refusal(detail: string): GatewayError {
  return new GatewayError('UNAUTHENTICATED', detail, {
    headers: { 'www-authenticate': 'Bearer realm="sallyport", error="invalid_token"' },
  });
}
