// Gives a request its id: the one the client sent, if that is asked for and sane, else a new one.
// Must not let a client's bytes into an id unchecked: ids end up in logs, headers and queries of operators.
import { randomUUID } from 'node:crypto';
import { definePlugin, type HeaderFields, type Plugin } from 'sallyport/plugin';

/** Mirrors config.schema.json. */
export interface Config {
  readonly headerName: string;
  readonly generator: 'uuid' | 'uuid#counter';
  readonly trustIncoming: boolean;
  readonly echo: boolean;
}

interface State {
  readonly nextId: () => string;
  /** The gateway itself sends the exchange's id upstream under this name. */
  readonly isGatewayHeader: boolean;
}

const GATEWAY_HEADER = 'x-request-id';

/** Visible ASCII, at most 128 characters: fits any log, and no reader can take it for anything else. */
const SANE_ID = /^[\x21-\x7e]{1,128}$/;

/** Sets `exchange.id`. */
export const plugin: Plugin<Config, State> = definePlugin<Config, State>({
  setup(config) {
    const isGatewayHeader = config.headerName.toLowerCase() === GATEWAY_HEADER;
    return { nextId: config.generator === 'uuid' ? randomUUID : countFrom(randomUUID()), isGatewayHeader };
  },

  onRequest(exchange, config, state) {
    const { headers } = exchange.request;
    exchange.id = (config.trustIncoming && readId(headers, config.headerName)) || state.nextId();
    if (!state.isGatewayHeader) headers.set(config.headerName, exchange.id);
  },

  onResponse(exchange, config) {
    if (config.echo) exchange.response?.headers.set(config.headerName, exchange.id);
  },
});

function countFrom(prefix: string): () => string {
  let count = 0;
  return () => `${prefix}#${++count}`;
}

function readId(headers: HeaderFields, name: string): string | undefined {
  // Two ids are none: the upstream could read the other one.
  const [id, ...others] = headers.getAll(name);
  return id !== undefined && others.length === 0 && SANE_ID.test(id) ? id : undefined;
}
