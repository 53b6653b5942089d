// Finds the consumer that owns the API key of a request.
// Never logs a key; knows a key only for as long as it takes to hash it.
import { hash } from 'node:crypto';
import {
  definePlugin,
  type Exchange,
  GatewayError,
  type Identity,
  type MaybePromise,
  type Plugin,
  readQuery,
  writeQuery,
} from 'sallyport/plugin';

/** Mirrors config.schema.json. */
export interface Config {
  readonly keyNames: readonly string[];
  readonly in: readonly ('header' | 'query')[];
  readonly hideCredentials: boolean;
}

/** Is where to look: an empty list where the configuration does not allow the place. */
interface Places {
  readonly headerNames: readonly string[];
  readonly queryNames: ReadonlySet<string>;
}

/** Longest key that a credential can have. */
const MAX_KEY_LENGTH = 512;

const CHALLENGE = { headers: { 'www-authenticate': 'Key realm="sallyport"' } };

/**
 * Identifies the consumer. @throws UNAUTHENTICATED when there is no key, more than one, or one that belongs to nobody.
 * @throws CANNOT_VERIFY when the directory cannot say whose it is.
 */
export const plugin: Plugin<Config, Places> = definePlugin<Config, Places>({
  setup: (config) => ({
    headerNames: config.in.includes('header') ? config.keyNames.map((name) => name.toLowerCase()) : [],
    queryNames: new Set(config.in.includes('query') ? config.keyNames : []),
  }),

  onRequest(exchange, config, places) {
    const found = findOwner(exchange, readKey(exchange, places));
    // A known key is found without a promise, and then this hook costs none.
    return found instanceof Promise
      ? found.then((identity) => admit(exchange, identity, config.hideCredentials ? places : undefined))
      : admit(exchange, found, config.hideCredentials ? places : undefined);
  },
});

function readKey(exchange: Exchange, { headerNames, queryNames }: Places): string {
  const { headers, query } = exchange.request;
  let key: string | undefined;
  for (const name of headerNames) {
    for (const value of headers.getAll(name)) key = oneKey(key, value);
  }
  if (query !== '' && queryNames.size > 0) {
    for (const { name, value } of readQuery(query)) if (queryNames.has(name)) key = oneKey(key, value);
  }
  if (!key) throw new GatewayError('UNAUTHENTICATED', 'send an API key', CHALLENGE);
  return key;
}

function oneKey(before: string | undefined, key: string): string {
  if (before === undefined || before === key) return key;
  // Whoever reads the other one, the log or the upstream, would see another caller than we do.
  throw new GatewayError('UNAUTHENTICATED', 'send one API key, not several', CHALLENGE);
}

function findOwner(exchange: Exchange, key: string): MaybePromise<Identity | undefined> {
  if (key.length > MAX_KEY_LENGTH) return undefined;
  return exchange.consumers.findByCredential('key-auth', hash('sha256', key, 'base64url'));
}

function admit(exchange: Exchange, identity: Identity | undefined, hidden: Places | undefined): void {
  if (!identity) throw new GatewayError('UNAUTHENTICATED', 'the API key is not valid', CHALLENGE);
  exchange.identify(identity);
  // An upstream that sees the key could replay it against another api.
  if (hidden) hide(exchange, hidden);
}

function hide({ request }: Exchange, { headerNames, queryNames }: Places): void {
  for (const name of headerNames) request.headers.delete(name);
  if (request.query === '' || queryNames.size === 0) return;
  const parts = readQuery(request.query);
  const kept = parts.filter(({ name }) => !queryNames.has(name));
  if (kept.length < parts.length) request.query = writeQuery(kept);
}
