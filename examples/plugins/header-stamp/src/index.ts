// Sets headers whose values are made of texts and of what is known of the exchange.
import { definePlugin, type Exchange, type HeaderFields, type Plugin } from 'sallyport/plugin';
import type { Config } from './config.ts';

type Part = (exchange: Exchange) => string;

interface Stamp {
  readonly name: string;
  readonly parts: readonly Part[];
}

interface State {
  readonly request: readonly Stamp[];
  readonly response: readonly Stamp[];
}

const PLACEHOLDERS: Readonly<Record<string, Part>> = {
  '{api}': ({ api }) => api.name,
  '{route}': ({ route }) => route.name,
  '{consumer}': ({ consumer }) => consumer?.username ?? 'anonymous',
  '{id}': ({ id }) => id,
  '{ip}': ({ client }) => client.ip,
};

export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup(config) {
    const stamps = config.stamps.map(({ name, value, on }) => ({ on, name, parts: readParts(value) }));
    return {
      request: stamps.filter(({ on }) => on === 'request'),
      response: stamps.filter(({ on }) => on === 'response'),
    };
  },

  onRequest(exchange, _config, { request }) {
    stamp(exchange, exchange.request.headers, request);
  },

  onResponse(exchange, _config, { response }) {
    if (exchange.response) stamp(exchange, exchange.response.headers, response);
  },
});

function readParts(value: string): readonly Part[] {
  const pieces = value.split(/(\{[a-z]+\})/).filter((piece) => piece !== '');
  return pieces.map((piece) => PLACEHOLDERS[piece] ?? (() => piece));
}

function stamp(exchange: Exchange, headers: HeaderFields, stamps: readonly Stamp[]): void {
  for (const { name, parts } of stamps) {
    const value = parts.map((part) => part(exchange)).join('');
    // Names of consumers may hold what no header may.
    headers.set(name, value.replace(/[^\x20-\x7e]/g, '?'));
  }
}
