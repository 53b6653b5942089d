// Makes a package of a plugin's project: the same sources always give the same bytes.
// Must not sign it, and must not let through what the marketplace would refuse unread.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Check } from '../../admin/marketplace/checks/check.ts';
import { checkPackage } from '../../admin/marketplace/checks/package.ts';
import { packArchive } from '../../gateway/package/archive.ts';
import { PackageError } from '../../gateway/package/errors.ts';
import { openPackage, type PluginPackage } from '../../gateway/package/package.ts';
import { CommandError } from '../output.ts';
import { bundlePlugin } from './bundle.ts';
import type { PluginProject } from './project.ts';

/** Is a package and what is in it. */
export interface PackedPlugin {
  readonly bytes: Buffer;
  readonly package: PluginPackage;
  /** Size of each file in bytes, by its name. */
  readonly sizes: ReadonlyMap<string, number>;
  /** What a reviewer should look at. */
  readonly warnings: readonly Check[];
}

const REQUIRED = ['manifest.json', 'config.schema.json'];
const OPTIONAL = ['README.md', 'CHANGELOG.md', 'LICENSE'];

/** Bundles and packs. @throws CommandError with the reason when the package would be refused. */
export async function packProject(project: PluginProject): Promise<PackedPlugin> {
  const { folder, fixtures } = project;
  const { code } = await bundlePlugin(folder);
  const files = new Map<string, Uint8Array>([['index.js', Buffer.from(code)]]);
  for (const name of REQUIRED) files.set(name, await readFile(join(folder, name)));
  for (const name of OPTIONAL) {
    const bytes = await readFile(join(folder, name)).catch(() => undefined);
    if (bytes !== undefined) files.set(name, bytes);
  }
  for (const { name, text } of fixtures) files.set(`fixtures/${name}`, Buffer.from(text));
  const { bytes, opened } = pack(files);
  const checks = await checkPackage({ bytes, files, package: opened });
  const failed = checks.filter(({ result }) => result === 'failed');
  if (failed.length > 0) {
    const lines = failed.map(({ name, detail }) => `  ${name}: ${detail}`);
    throw new CommandError(`the marketplace would refuse this:\n${lines.join('\n')}`);
  }
  const sizes = new Map(Array.from(files, ([name, content]) => [name, content.length]));
  return { bytes, package: opened, sizes, warnings: checks.filter(({ result }) => result === 'warned') };
}

function pack(files: ReadonlyMap<string, Uint8Array>): { readonly bytes: Buffer; readonly opened: PluginPackage } {
  try {
    const bytes = packArchive(files);
    return { bytes, opened: openPackage(bytes) };
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    throw new CommandError(`this cannot be packed: ${error.message} (${error.code})`);
  }
}

/** Names the file of a package. */
export function packageFileOf({ manifest }: PluginPackage): string {
  return `${manifest.name.replace('/', '-')}-${manifest.version}.tgz`;
}
