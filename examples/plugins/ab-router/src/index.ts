// Chooses a variant by a hash of who calls, tells the upstream, and sends variant B to a path of its own.
import { definePlugin, type Exchange, type Plugin } from 'sallyport/plugin';
import type { Config } from './config.ts';

const VARIANT_HEADER = 'x-ab-variant';
const VARIANT = 'examples/ab-router.variant';

export const plugin: Plugin<Config> = definePlugin<Config>({
  onRequest(exchange, config) {
    const { request } = exchange;
    const caller = findCaller(exchange, config);
    const variant = caller !== undefined && shareOf(`${config.experiment}:${caller}`) < config.percent ? 'b' : 'a';
    exchange.state.set(VARIANT, variant);
    // Over what the client sent: nobody chooses for themselves.
    request.headers.set(VARIANT_HEADER, variant);
    if (variant === 'b') request.path = `${config.pathPrefix}${request.path}`;
  },

  onResponse({ response, state }) {
    const variant = state.get(VARIANT);
    if (typeof variant === 'string') response?.headers.set(VARIANT_HEADER, variant);
  },
});

function findCaller(exchange: Exchange, config: Config): string | undefined {
  if (config.by === 'ip') return exchange.client.ip;
  if (config.by === 'header') return exchange.request.headers.get(config.header);
  return exchange.consumer?.username;
}

/** Gives a number from 0 to 100 for a text, always the same one: FNV-1a, then mixed so that like texts lie apart. */
function shareOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * 100;
}
