// Lets in or keeps out clients by address.
// Must not read an address from a header: `exchange.client.ip` is what the gateway vouches for.
import { definePlugin, GatewayError, type Plugin } from 'sallyport/plugin';
import { buildNetworkTest, readAddress } from './networks.ts';

/** Mirrors config.schema.json. */
export interface Config {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

interface State {
  readonly decide: (ip: string) => boolean;
  /** Decisions by address as it came; a test of 1 000 networks costs more than one lookup. */
  readonly known: Map<string, boolean>;
}

/** Decisions kept; clients choose addresses, so there is a bound. */
const MAX_KNOWN = 10_000;

/** Ends the request of a client that may not call. @throws FORBIDDEN */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup({ allow, deny }) {
    const isDenied = buildNetworkTest(deny);
    const isAllowed = allow.length > 0 ? buildNetworkTest(allow) : undefined;
    // An address that cannot be read could be any, so it is refused, also where only some are denied.
    const decide = (ip: string): boolean =>
      readAddress(ip) !== undefined && !isDenied(ip) && (isAllowed === undefined || isAllowed(ip));
    return { decide, known: new Map() };
  },

  onRequest({ client }, _config, { decide, known }) {
    let isWelcome = known.get(client.ip);
    if (isWelcome === undefined) {
      isWelcome = decide(client.ip);
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(client.ip, isWelcome);
    }
    if (!isWelcome) throw new GatewayError('FORBIDDEN', 'your address may not call this');
  },
});
