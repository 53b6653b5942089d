// The signed index with its root, and the bundle for places without a network.
// Must not hold a rule: admin/marketplace does.
import type { Answer, Call, RouteSpec } from '../../call.ts';
import { AdminError } from '../../errors.ts';
import { exportBundle } from '../../marketplace/mirror/export.ts';
import { type ImportBody, importBundle } from '../../marketplace/mirror/import.ts';
import { findIndex, findRoot } from '../../store/marketplace/signed.ts';
import { readMarketplaceBody } from './answers.ts';

/** Lists the routes of index and bundle. */
export const MARKETPLACE_INDEX_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: '/v1/marketplace/index',
    role: 'any',
    summary: 'Show the newest root and index, signed',
    gives: 'MarketplaceIndex',
    handle: show,
  },
  {
    method: 'GET',
    path: '/v1/marketplace/bundle',
    role: 'viewer',
    summary: 'Export root, index, envelopes and packages in one signed file',
    gives: 'MarketplaceBundle',
    query: ['plugin'],
    handle: async (call) => ({ body: await exportBundle(call) }),
  },
  {
    method: 'POST',
    path: '/v1/marketplace/bundle',
    role: 'owner',
    summary: 'Import a bundle',
    takes: 'BundleImport',
    gives: 'BundleResult',
    body: 'bundle',
    query: ['dryRun'],
    handle: (call) => importBundle(call, readMarketplaceBody<ImportBody>('BundleImport', call.body)),
  },
];

async function show(call: Call): Promise<Answer> {
  const [root, index] = await call.services.database.run(async (knex) => [await findRoot(knex), await findIndex(knex)]);
  if (root === undefined || index === undefined) throw new AdminError('NOT_FOUND', 'There is no index yet.');
  return { body: { root: root.envelope, index: index.envelope } };
}
