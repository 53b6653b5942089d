// Starts and stops the admin service.
// Must not read the environment: the caller does.
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../gateway/core/plugin.ts';
import { readManifests } from '../gateway/loader.ts';
import { buildApp } from './app.ts';
import type { Services } from './call.ts';
import { watchCanaries } from './canary/watch.ts';
import { type Marketplace, openMarketplace } from './marketplace/marketplace.ts';
import { createAuthenticate } from './middleware/auth.ts';
import { createPublisher } from './publish.ts';
import { keepRecordingsYoung } from './replay/keep-young.ts';
import { openDatabase } from './store/database.ts';
import { createNodeListener } from './store/listener.ts';
import { syncPlugins } from './store/plugins.ts';
import { findActor, putBootstrapToken } from './store/tokens.ts';
import { createNodeWatch } from './wait.ts';

/** Longest wait for a whole request to arrive, in milliseconds. */
const REQUEST_TIMEOUT_MS = 60_000;
const HEADERS_TIMEOUT_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Longest wait for requests in flight at the stop, in milliseconds. */
const CLOSE_TIMEOUT_MS = 10_000;

/** Says how to run the admin service. */
export interface AdminOptions {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** A migrated database. */
  readonly databaseUrl: string;
  /** Folders of plugins; manifests are read, handlers never. */
  readonly pluginDirs: readonly string[];
  /** Where the keys of the marketplace are, or are made at the first start. */
  readonly marketplaceDir: string;
  /** 32 bytes that seal what must be read back. */
  readonly secretKey: Uint8Array;
  /** The token named `bootstrap`, role owner. */
  readonly bootstrapToken: string;
  readonly log: Logger;
  readonly version: string;
  /** Host names under which clients call it, besides addresses and localhost. */
  readonly allowedHosts?: readonly string[];
}

/** Is a running admin service. */
export interface Admin {
  readonly url: string;
  /** Finishes the requests in flight, then closes everything. */
  close(): Promise<void>;
}

/**
 * Starts the admin service.
 * @throws DATABASE_UNAVAILABLE when the database cannot be reached; Error naming the folder when a plugin is broken
 */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { log, databaseUrl, secretKey, version } = options;
  const plugins = await readManifests(options.pluginDirs);
  const database = openDatabase(databaseUrl);
  const listener = createNodeListener(databaseUrl, log);
  let marketplace: Marketplace | undefined;
  let canaries: ReturnType<typeof watchCanaries> | undefined;
  let recordings: ReturnType<typeof keepRecordingsYoung> | undefined;
  const closeStores = async (): Promise<void> => {
    canaries?.close();
    recordings?.close();
    marketplace?.close();
    await Promise.all([listener.close(), database.close()]);
  };
  try {
    await database.transaction(async (transaction) => {
      await syncPlugins(transaction, plugins.values());
      await putBootstrapToken(transaction, randomUUID(), options.bootstrapToken);
      return { value: undefined, isKept: true };
    });
    marketplace = await openMarketplace({ folder: options.marketplaceDir, database, log });
    const publisher = createPublisher({ database, plugins, log });
    const nodes = createNodeWatch(database, listener);
    canaries = watchCanaries({ publisher, database, log });
    recordings = keepRecordingsYoung(database, log);
    const services: Services = { database, publisher, nodes, plugins, marketplace, secretKey, log, version };
    const server = await listen(services, options);
    const { address, port, family } = server.address() as AddressInfo;
    const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
    log.info('admin listening', { url, plugins: plugins.size });
    return {
      url,
      async close() {
        await stop(server);
        await closeStores();
      },
    };
  } catch (error) {
    await closeStores();
    throw error;
  }
}

async function listen(services: Services, { listen: address, allowedHosts = [] }: AdminOptions): Promise<Server> {
  const authenticate = createAuthenticate((token) => services.database.run((knex) => findActor(knex, token)));
  const app = buildApp({ services, authenticate, allowedHosts: [...allowedHosts, address.host] });
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: HEADERS_TIMEOUT_MS, maxHeaderSize: MAX_HEADER_BYTES },
    app.callback(),
  );
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address.host, port: address.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return server;
}

async function stop(server: Server): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), CLOSE_TIMEOUT_MS);
  await new Promise((resolve) => {
    server.close(resolve);
    server.closeIdleConnections();
  });
  clearTimeout(timer);
}
