// Makes a bundle of the marketplace, for places without a network.
// Must not hold what cannot be installed.
import type { KeyObject } from 'node:crypto';
import type { Call } from '../../call.ts';
import { AdminError } from '../../errors.ts';
import type { Knex } from '../../store/database.ts';
import { findIndex, findRoot } from '../../store/marketplace/signed.ts';
import { findPackage, listIndexedVersions } from '../../store/marketplace/versions.ts';
import { requireIndexKey } from '../make-index.ts';
import { type Bundle, buildBundle, MAX_BUNDLED_BYTES, refuse } from './bundle.ts';

/** Makes a bundle of all that may be installed, or of one plugin. @throws SIGNING_UNAVAILABLE, BUNDLE_REFUSED when too large */
export async function exportBundle(call: Call): Promise<Bundle> {
  const { database, marketplace } = call.services;
  const key = requireIndexKey(marketplace.authority);
  // A bundle is large, so they are made one after another.
  return await marketplace.inTurn(() => database.transaction((transaction) => build(call, transaction, key)));
}

async function build(
  call: Call,
  transaction: Knex.Transaction,
  key: KeyObject,
): Promise<{ readonly value: Bundle; readonly isKept: boolean }> {
  await transaction.raw('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const [root, index] = [await findRoot(transaction), await findIndex(transaction)];
  if (root === undefined || index === undefined) throw new AdminError('NOT_FOUND', 'There is no index yet.');
  const { plugin } = call.query;
  const versions = (await listIndexedVersions(transaction))
    .filter(({ state }) => state === 'approved' || state === 'deprecated')
    .filter((one) => plugin === undefined || one.plugin === plugin)
    .map(({ plugin: id, version, sha256, envelope }) => ({ plugin: id, version, sha256, envelope }));
  const packages = await collect(
    transaction,
    versions.map(({ sha256 }) => sha256),
  );
  const bundle = buildBundle({ root: root.envelope, index: index.envelope, versions }, packages, key);
  return { value: bundle, isKept: false };
}

async function collect(knex: Knex, digests: readonly string[]): Promise<ReadonlyMap<string, Buffer>> {
  const packages = new Map<string, Buffer>();
  let total = 0;
  for (const sha256 of new Set(digests)) {
    const bytes = await findPackage(knex, sha256);
    if (bytes === undefined) continue;
    total += bytes.length;
    if (total > MAX_BUNDLED_BYTES) {
      throw refuse(`all packages are more than ${MAX_BUNDLED_BYTES} bytes; export plugin by plugin with ?plugin=`);
    }
    packages.set(sha256, bytes);
  }
  return packages;
}
