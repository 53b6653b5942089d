// Reads versions of plugins for code of theirs that is to run in a child of this service.
// Must not run it.
import { CONTRACT_VERSION } from '../../gateway/core/plugin.ts';
import { PackageError } from '../../gateway/package/errors.ts';
import type { PluginPackage } from '../../gateway/package/package.ts';
import { openIndex, openRoot, verifyPackage } from '../../gateway/package/trust.ts';
import { invalidField } from '../errors.ts';
import type { Marketplace } from '../marketplace/marketplace.ts';
import type { VersionState } from '../marketplace/states.ts';
import type { Database } from '../store/database.ts';
import { findIndex, findRoot } from '../store/marketplace/signed.ts';
import { findPackage, findVersion } from '../store/marketplace/versions.ts';

/** Is what reading takes. */
export interface PackageServices {
  readonly database: Database;
  readonly marketplace: Pick<Marketplace, 'authority' | 'nowMs'>;
}

/** In which states a version may be installed. */
const INSTALLABLE: readonly VersionState[] = ['approved', 'deprecated'];

/**
 * Reads what a version brings; undefined = there is none in these states. Its code is about to run: it is verified as nodes verify
 * it. @throws CONFIG_INVALID
 */
export async function readPackage(
  { database, marketplace }: PackageServices,
  plugin: string,
  version: string,
  states: readonly VersionState[] = INSTALLABLE,
): Promise<PluginPackage | undefined> {
  const found = await database.run(async (knex) => {
    const offered = await findVersion(knex, plugin, version);
    if (offered === undefined || !states.includes(offered.state)) return undefined;
    const [bytes, root, index] = [await findPackage(knex, offered.sha256), await findRoot(knex), await findIndex(knex)];
    return bytes && root && index && { offered, bytes, root, index };
  });
  if (found === undefined) return undefined;
  const { offered, bytes, root, index } = found;
  try {
    const trusted = openRoot(root.envelope, marketplace.authority.rootKeys);
    const verdict = verifyPackage({
      bytes,
      envelope: offered.envelope,
      index: openIndex(index.envelope, trusted, { minVersion: 0, nowMs: marketplace.nowMs() }).index,
      policy: { require: ['publisher', 'marketplace'] },
      pinned: { id: plugin, version, sha256: offered.sha256, granted: offered.manifest.permissions },
      contractVersion: CONTRACT_VERSION,
    });
    if (verdict.ok) return verdict.package;
    throw new PackageError(verdict.code, verdict.message);
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    throw invalidField('/version', `its package is not to be trusted: ${error.message}`);
  }
}
