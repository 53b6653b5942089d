// Hears that a node's row changed: one connection that LISTENs while somebody waits.
// Must not be relied on: notices get lost with the connection, so whoever waits also asks.
import pg from 'pg';
import type { Logger } from '../../gateway/core/plugin.ts';
import { DATABASE_TIMEOUT_MS } from './database.ts';

/** Hears notices until closed. */
export interface Hearing {
  /** Resolves at the next notice. */
  next(): Promise<void>;
  close(): void;
}

/** Lends hearings over one shared connection. */
export interface NodeListener {
  /** Resolves when notices will be heard, or when it is clear that they will not. */
  subscribe(): Promise<Hearing>;
  close(): Promise<void>;
}

/** Builds the listener. The connection opens with the first hearing and stays; a lost one is opened again by the next. */
export function createNodeListener(url: string, log: Logger): NodeListener {
  const ears = new Set<() => void>();
  let connection: Promise<pg.Client | undefined> | undefined;

  const connect = async (): Promise<pg.Client | undefined> => {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: DATABASE_TIMEOUT_MS,
      query_timeout: DATABASE_TIMEOUT_MS,
    });
    // Without a handler a lost connection would end the process.
    client.on('error', () => {
      connection = undefined;
    });
    client.on('notification', () => {
      for (const ear of ears) ear();
    });
    try {
      await client.connect();
      await client.query('LISTEN sallyport_nodes');
      return client;
    } catch (error) {
      connection = undefined;
      const reason = error instanceof Error ? error.message : String(error);
      log.warn('cannot listen for nodes; asking instead', { reason });
      await client.end().catch(() => undefined);
      return undefined;
    }
  };

  return {
    async subscribe() {
      connection ??= connect();
      await connection;
      let wake: (() => void) | undefined;
      const ear = (): void => wake?.();
      ears.add(ear);
      return {
        next: () =>
          new Promise((resolve) => {
            wake = resolve;
          }),
        close: () => void ears.delete(ear),
      };
    },
    async close() {
      const client = await connection;
      connection = undefined;
      await client?.end().catch(() => undefined);
    },
  };
}
