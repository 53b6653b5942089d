// A whole product with an api and, in its marketplace, a publisher whose plugin says on every response which version ran.
// Must not install anything: that is what the tests are about.
import type { FailPolicy } from '../../gateway/core/manifest.ts';
import { generateKeys, toKeyEntry } from '../../gateway/package/keys.ts';
import { openPackage } from '../../gateway/package/package.ts';
import { samplePackage, signPackage } from '../support/market/packages.ts';
import { type AdminClient, connectAdmin } from '../support/product/admin-client.ts';
import { type RunningProduct, startProduct } from '../support/product/gateway.ts';
import { type Origin, startOrigin } from '../support/wire/origin.ts';

/** Where the plugin is when it is installed. */
export const HELLO = '/v1/installs/acme/hello';
/** Is all that it asks for. */
export const GRANTED = { response: { headers: { write: ['x-hello'] } } } as const;

/** Is such a product. */
export interface MarketProduct {
  readonly product: RunningProduct;
  /** The owner's client. */
  readonly admin: AdminClient;
  readonly origin: Origin;
  /** Publishes a version that runs a statement, over `request` and `response`, in its response hook, and has it approved. */
  publish(version: string, statement: string, failPolicy: FailPolicy): Promise<void>;
  /** Sends a request and gives what the plugin wrote into `x-hello`. */
  ask(): Promise<string | null>;
  stop(): Promise<void>;
}

/** Says how to start it. */
export interface MarketProductOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Of every version; default `GRANTED`. */
  readonly permissions?: Readonly<Record<string, unknown>>;
}

/** Starts one; the api is at `/orders`. */
export async function startMarketProduct(options: MarketProductOptions = {}): Promise<MarketProduct> {
  const { environment = {}, permissions = GRANTED } = options;
  const origin = await startOrigin();
  const product = await startProduct({ environment });
  try {
    return await openMarket({ product, admin: await connectAdmin(product), origin, permissions });
  } catch (error) {
    await product.stop();
    await origin.close();
    throw error;
  }
}

async function openMarket({
  product,
  admin,
  origin,
  permissions,
}: Pick<MarketProduct, 'product' | 'admin' | 'origin'> &
  Required<Pick<MarketProductOptions, 'permissions'>>): Promise<MarketProduct> {
  const keys = generateKeys();
  await admin.call('POST', '/v1/apis', { name: 'orders', upstream: origin.url, routes: [{ paths: ['/orders'] }] });
  const publisher = { namespace: 'acme', title: 'Acme', keys: [toKeyEntry(keys.publicKey).publicKey] };
  await admin.call('POST', '/v1/marketplace/publishers', publisher);
  return {
    product,
    admin,
    origin,
    async publish(version, statement, failPolicy) {
      const code = `let calls = 0; export const plugin = { onResponse({ request, response }) { ${statement}; } };\n`;
      const bytes = samplePackage({ manifest: { version, failPolicy, permissions }, files: { 'index.js': code } });
      const envelope = signPackage(openPackage(bytes), keys);
      await admin.call('POST', '/v1/marketplace/plugins', { package: bytes.toString('base64'), envelope });
      const path = `/v1/marketplace/plugins/acme/hello/versions/${version}/review`;
      await admin.call('POST', path, { decision: 'approve' });
    },
    async ask() {
      const response = await fetch(`${product.urls.proxy}/orders`);
      await response.arrayBuffer();
      return response.headers.get('x-hello');
    },
    async stop() {
      await product.stop();
      await origin.close();
    },
  };
}
