// What the document pins of a version, against what the version itself says.
// Must not believe the document: who can write to the database could have changed it.
import { isDeepStrictEqual } from 'node:util';
import { readManifest } from '../../core/config.ts';
import type { Install, PluginPin } from '../../core/model.ts';
import type { PluginPackage } from '../../package/package.ts';
import { comparePermissions } from '../../package/permissions.ts';
import { LoadRefusal } from './loading.ts';

/** Gives the install as it would be with another version. */
export function pinTo(install: Install, { version, sha256, granted, manifest, configSchema }: PluginPin): Install {
  return { ...install, version, sha256, granted, manifest, configSchema };
}

/**
 * Checks that the document says of the version what the package says: admin service and console show what it says.
 * @throws LoadRefusal MANIFEST_MISMATCH, SCHEMA_MISMATCH, GRANT_MISMATCH
 */
export function checkPin({ manifest, configSchema, granted }: Install, pkg: PluginPackage): void {
  if (!isDeepStrictEqual(readManifest(manifest), pkg.manifest)) {
    throw new LoadRefusal(
      'MANIFEST_MISMATCH',
      'the manifest in the document is not the one of the package',
      '/manifest',
    );
  }
  if (!isDeepStrictEqual(configSchema, pkg.configSchema)) {
    throw new LoadRefusal(
      'SCHEMA_MISMATCH',
      'the schema in the document is not the one of the package',
      '/configSchema',
    );
  }
  const [beyond] = comparePermissions(pkg.manifest.permissions, granted);
  if (beyond !== undefined) {
    throw new LoadRefusal('GRANT_MISMATCH', 'more is granted than the version asks for', `/granted${beyond.pointer}`);
  }
}
