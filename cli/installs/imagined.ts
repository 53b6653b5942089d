// What a configuration file tells of the versions that it installs, for a check without a marketplace.
// Must not be used to install anything.
import type { OfferedVersion } from '../../admin/document/installs.ts';
import type { InstalledPlugin } from '../../gateway/core/manifest.ts';

const ANY_DIGEST = '0'.repeat(64);
const ANY_CONFIG: InstalledPlugin['configSchema'] = { type: 'object' };

/** Imagines versions that allow whatever the file says: what they really allow is in their packages, and those are not here. */
export function imagineVersions(file: unknown): (plugin: string, version: string) => Promise<OfferedVersion> {
  return async (plugin, version) => {
    const install = findInstall(file, plugin);
    // One that is not granted is refused whatever the version asks for.
    const { secrets } = toRecord(install['granted']);
    const names = Array.isArray(secrets) ? secrets.filter((name) => typeof name === 'string') : [];
    const sha256 = typeof install['sha256'] === 'string' ? install['sha256'] : ANY_DIGEST;
    const manifest = imagineManifest(plugin, version, names);
    return { plugin, version, sha256, manifest, configSchema: ANY_CONFIG, state: 'approved' };
  };
}

/** In a stage that knows consumers, so that every scope may hold. */
function imagineManifest(name: string, version: string, secrets: readonly string[]): InstalledPlugin['manifest'] {
  return {
    name,
    version,
    title: name,
    summary: name,
    stage: 'transform',
    hooks: [],
    scopes: ['global', 'api', 'route', 'consumer', 'group'],
    failPolicy: 'closed',
    limits: { timeoutMs: 1_000, memoryMb: 32 },
    permissions: { secrets },
    engines: { gateway: '*' },
  };
}

/** A file that lists it twice is refused for that. */
function findInstall(file: unknown, plugin: string): Readonly<Record<string, unknown>> {
  const { installs } = toRecord(file);
  const items: readonly unknown[] = Array.isArray(installs) ? installs : [];
  return items.map(toRecord).find((item) => item['plugin'] === plugin) ?? {};
}

function toRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
