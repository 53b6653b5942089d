// A whole product in which acme/hello 1.0.0 is installed and bound, over a database that the test can read.
// Must not know what is tried beside it.
import { createDatabase, type TestDatabase } from '../support/product/database.ts';
import { type MarketProduct, startMarketProduct } from './marketplace.ts';

/** Is what every version asks for: 1.0.0 writes the header, others may look first. */
export const TRIAL_PERMISSIONS = {
  request: { headers: { read: ['x-vip', 'apikey'] } },
  response: { headers: { write: ['x-hello'] } },
} as const;

/** Is such a product. */
export interface TrialProduct extends MarketProduct {
  readonly database: TestDatabase;
  /** Sends a request with these headers and gives what the plugin wrote into `x-hello`. */
  askWith(headers: Readonly<Record<string, string>>, path?: string): Promise<string | null>;
}

/** Starts one. */
export async function startTrialProduct(): Promise<TrialProduct> {
  const database = await createDatabase();
  const market = await startMarketProduct({
    environment: { DATABASE_URL: database.url },
    permissions: TRIAL_PERMISSIONS,
  });
  const { admin, product } = market;
  await market.publish('1.0.0', "response.headers.set('x-hello', '1.0.0')", 'open');
  await admin.call('POST', '/v1/installs', { plugin: 'acme/hello', version: '1.0.0', granted: TRIAL_PERMISSIONS });
  await admin.call('POST', '/v1/bindings?wait=applied', { plugin: 'acme/hello', config: {} });
  return {
    ...market,
    database,
    async askWith(headers, path = '/orders') {
      const response = await fetch(`${product.urls.proxy}${path}`, { headers });
      await response.arrayBuffer();
      return response.headers.get('x-hello');
    },
    async stop() {
      await market.stop();
      await database.drop();
    },
  };
}
