// A node whose database holds a marketplace: one version of a plugin installed and bound, another one listed.
// Must not use the admin service: what it would refuse is what is tried here.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Install } from '../../../../../gateway/core/model.ts';
import { writePublicKey } from '../../../../../gateway/package/keys.ts';
import type { PluginIndex } from '../../../../../gateway/package/trust.ts';
import { type Market, makeMarket, sampleIndex } from '../../../../support/market/packages.ts';
import {
  installOf,
  makeVersion,
  type SignedPackage,
  storeIndex,
  storePackage,
} from '../../../../support/market/stored-market.ts';
import { createDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, makeBinding, publish, write } from '../../../../support/product/publish.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

/** Opens the secrets of installs. */
export const SECRET_KEY: Uint8Array = new Uint8Array(32).fill(9);

/** Is such a database, and the node once it is started. */
export interface MarketStage {
  readonly databaseUrl: string;
  readonly origin: Origin;
  readonly market: Market;
  /** Version 1.0.0: installed, bound, its bytes stored. */
  readonly first: SignedPackage;
  /** Version 2.0.0: listed by the index, its bytes not stored. */
  readonly second: SignedPackage;
  readonly index: PluginIndex;
  /** Starts the node on a data directory that outlives it. */
  start(databaseUrl?: string): Promise<RunningProduct>;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Sends a request to an api and gives what the plugin wrote into `x-hello`, `none`, or a status other than 200. */
  ask(api?: string): Promise<string | number>;
  /** Pins another version by hand, and gives the revision. */
  upgrade(to: SignedPackage, fields?: Partial<Install>): Promise<number>;
  close(): Promise<void>;
}

/** Makes the database. */
export async function openMarketStage(): Promise<MarketStage> {
  const database = await createDatabase();
  const origin = await startOrigin();
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-installs-'));
  const market = makeMarket();
  await writeFile(join(folder, 'root.pub'), writePublicKey(market.rootKeys.publicKey));
  const first = makeVersion(market, '1.0.0');
  const second = makeVersion(market, '2.0.0');
  const index = sampleIndex(market, [first.pkg, second.pkg]);
  await storePackage(database.url, first);
  await storeIndex(database.url, market, index);
  const pin = installOf(first);
  await publish(database.url, [
    write('api', makeApi('orders', { upstream: origin.url })),
    write('install', pin),
    write('binding', makeBinding('acme/hello')),
  ]);
  let node: RunningProduct | undefined;
  const stop = async (): Promise<void> => {
    await node?.stop();
    node = undefined;
  };
  return {
    databaseUrl: database.url,
    origin,
    market,
    first,
    second,
    index,
    async start(databaseUrl = database.url) {
      node = await startNode(databaseUrl, {
        dataDir: join(folder, 'data'),
        environment: {
          SALLYPORT_PLUGIN_ROOT: join(folder, 'root.pub'),
          SALLYPORT_SECRET_KEY: Buffer.from(SECRET_KEY).toString('hex'),
        },
      });
      return node;
    },
    stop,
    async ask(api = 'orders') {
      const response = await fetch(`${node?.urls.proxy}/${api}`, { headers: { connection: 'close' } });
      await response.arrayBuffer();
      return response.status === 200 ? (response.headers.get('x-hello') ?? 'none') : response.status;
    },
    upgrade: (to, fields) => publish(database.url, [write('install', installOf(to, { id: pin.id, ...fields }))]),
    async close() {
      await stop();
      await origin.close();
      await database.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
