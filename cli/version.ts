// The version of this Sallyport, read from its package.json.
// Must not be written down a second time anywhere.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Gives the version. */
export function readVersion(): string {
  // From dist/cli two folders up, from a checkout one: the nearest package.json is ours either way.
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  const manifest: { readonly version: string } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  return manifest.version;
}
