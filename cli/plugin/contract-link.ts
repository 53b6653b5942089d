// Puts this Sallyport within reach of a plugin's project: types for editors, and the command for its scripts.
// Must not touch what is there already.
import { existsSync } from 'node:fs';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Only for development of Sallyport itself, so an installed one may not have them. */
const TYPE_TOOLS = ['typescript', '@types/node'];

/**
 * Makes `sallyport/plugin`, `sallyport/testing` and the command `sallyport` resolve in a project, without a registry: by
 * links in its node_modules. Run again by every command of a project, since npm removes what it did not install.
 */
export async function linkContract(folder: string): Promise<void> {
  const here = createRequire(import.meta.url);
  const packageFolder = dirname(here.resolve('sallyport/package.json'));
  if (!canResolve(folder, 'sallyport/package.json')) {
    await linkFolder(packageFolder, join(folder, 'node_modules', 'sallyport'));
    await writeCommand(folder);
  }
  for (const name of TYPE_TOOLS) {
    const path = `${name}/package.json`;
    if (canResolve(folder, path) || !canResolve(packageFolder, path)) continue;
    await linkFolder(dirname(here.resolve(path)), join(folder, 'node_modules', name));
  }
}

function canResolve(folder: string, name: string): boolean {
  try {
    createRequire(join(folder, 'package.json')).resolve(name);
    return true;
  } catch {
    return false;
  }
}

async function linkFolder(target: string, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  // A junction needs no rights on Windows; elsewhere the type means nothing.
  if (!existsSync(path)) await symlink(target, path, 'junction');
}

// A link to main.js would not do: what tsc writes is not executable.
async function writeCommand(folder: string): Promise<void> {
  const path = join(folder, 'node_modules', '.bin', 'sallyport');
  if (existsSync(path)) return;
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, `#!/bin/sh\nexec node '${main.replaceAll("'", "'\\''")}' "$@"\n`);
  await chmod(path, 0o755);
}
