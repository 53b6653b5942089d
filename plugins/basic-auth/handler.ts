// Finds the consumer that owns a user name and password.
// Never logs either, and never says which of the two was wrong.
import { definePlugin, type Exchange, GatewayError, type Host, type Identity, type Plugin } from 'sallyport/plugin';
import { deriveScrypt } from './password-hash.ts';
import { buildVerifier, type Claim, type Verifier } from './verifier.ts';

/** Mirrors config.schema.json. */
export interface Config {
  readonly hideCredentials: boolean;
}

interface State {
  readonly verifier: Verifier;
  readonly log: Host['log'];
}

const CHALLENGE = { headers: { 'www-authenticate': 'Basic realm="sallyport", charset="UTF-8"' } };

/** 256 characters each of name and password, as UTF-8 in base64, with the scheme. */
const MAX_HEADER_LENGTH = 2800;

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Identifies the consumer. @throws UNAUTHENTICATED when the header is missing or the pair is not right.
 * @throws CANNOT_VERIFY when the directory cannot say, or too many passwords wait to be checked.
 * @see RFC 7617
 */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup: (_config, host) => ({ verifier: buildVerifier(host.clock, deriveScrypt), log: host.log }),

  onRequest(exchange, config, state) {
    const claim = readClaim(exchange);
    const found = exchange.consumers.findByCredential('basic-auth', claim.username);
    return found instanceof Promise
      ? found.then((identity) => verify({ exchange, config, state, claim, identity }))
      : verify({ exchange, config, state, claim, identity: found });
  },
});

interface Check {
  readonly exchange: Exchange;
  readonly config: Config;
  readonly state: State;
  readonly claim: Claim;
  readonly identity: Identity | undefined;
}

function verify(check: Check): void | Promise<void> {
  const { state, claim, identity } = check;
  // An unknown user is checked too, against nobody's hash: the time must not tell which names exist.
  const isRight = state.verifier.verify(claim, identity && String(identity.credential.data['passwordHash']));
  if (!(isRight instanceof Promise)) return admit(check, isRight);
  return isRight.then(
    (answer) => admit(check, answer),
    (error: unknown) => refuseBroken(check, error),
  );
}

function admit({ exchange, config, identity }: Check, isRight: boolean): void {
  if (!identity || !isRight) throw new GatewayError('UNAUTHENTICATED', 'user name or password is wrong', CHALLENGE);
  exchange.identify(identity);
  // An upstream that sees the password could use it anywhere.
  if (config.hideCredentials) exchange.request.headers.delete('authorization');
}

function refuseBroken({ state, identity }: Check, error: unknown): never {
  if (error instanceof GatewayError) throw error;
  state.log.error('a stored password hash cannot be used', { credential: identity?.credential.id });
  throw new GatewayError('CANNOT_VERIFY', 'the password cannot be checked', { cause: error });
}

function readClaim(exchange: Exchange): Claim {
  const [header, ...others] = exchange.request.headers.getAll('authorization');
  if (header === undefined) throw new GatewayError('UNAUTHENTICATED', 'send a user name and password', CHALLENGE);
  const claim = others.length === 0 && header.length <= MAX_HEADER_LENGTH ? parse(header) : undefined;
  if (!claim) throw new GatewayError('UNAUTHENTICATED', 'the Authorization header is not Basic', CHALLENGE);
  return claim;
}

function parse(header: string): Claim | undefined {
  const [, encoded] = BASIC.exec(header) ?? [];
  const text = encoded && decode(encoded);
  // Control characters are forbidden in both, and a NUL would end the name for some readers.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (!text || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  const border = text.indexOf(':');
  return border < 1 ? undefined : { username: text.slice(0, border), password: text.slice(border + 1) };
}

function decode(encoded: string): string | undefined {
  try {
    return utf8.decode(Buffer.from(encoded, 'base64'));
  } catch {
    return undefined;
  }
}
