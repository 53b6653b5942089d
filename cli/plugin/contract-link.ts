// Puts this Sallyport within reach of a plugin's project: types for editors, and the command for its scripts.
// Must not touch what is there already.
import { existsSync } from 'node:fs';
import { mkdir, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readVersion } from '../version.ts';

/**
 * Names the folder of a small package that points at this Sallyport. A project lists it among its workspaces, so that npm
 * keeps the link to it; a link to this Sallyport itself would let npm change what is installed here.
 */
export const CONTRACT_FOLDER = '.sallyport/contract';

/** Only for development of Sallyport itself, so an installed one may not have them. */
const TYPE_TOOLS = ['typescript', '@types/node'];

/**
 * Makes `sallyport/plugin`, `sallyport/testing` and the command `sallyport` resolve in a project, without a registry. Every
 * command of a project does so again: this Sallyport may have moved, and npm removes what it did not install.
 */
export async function linkContract(folder: string): Promise<void> {
  const contract = join(await realpath(folder), CONTRACT_FOLDER);
  const found = findPackage(folder, 'sallyport');
  if (found === undefined || found === contract) {
    await writeContract(contract);
    await link(contract, join(folder, 'node_modules', 'sallyport'));
    await link(join(contract, 'sallyport'), join(folder, 'node_modules', '.bin', 'sallyport'));
  }
  const here = dirname(fileURLToPath(import.meta.url));
  for (const name of TYPE_TOOLS) {
    const tool = findPackage(here, name);
    if (tool !== undefined && findPackage(folder, name) === undefined) {
      await link(tool, join(folder, 'node_modules', name));
    }
  }
}

function findPackage(folder: string, name: string): string | undefined {
  try {
    return dirname(createRequire(join(folder, 'package.json')).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

async function writeContract(folder: string): Promise<void> {
  const modules = {
    plugin: new URL('../../gateway/core/plugin.js', import.meta.url),
    testing: new URL('../../gateway/testing.js', import.meta.url),
  };
  await mkdir(folder, { recursive: true });
  for (const [name, url] of Object.entries(modules)) {
    await writeFile(join(folder, `${name}.js`), `export * from ${JSON.stringify(url.href)};\n`);
    await writeFile(join(folder, `${name}.d.ts`), `export * from ${JSON.stringify(fileURLToPath(url))};\n`);
  }
  const main = fileURLToPath(new URL('../main.js', import.meta.url));
  const script = `#!/bin/sh\nexec node '${main.replaceAll("'", "'\\''")}' "$@"\n`;
  await writeFile(join(folder, 'sallyport'), script, { mode: 0o755 });
  const names = ['plugin', 'testing'];
  const exports = names.map((name) => [`./${name}`, { types: `./${name}.d.ts`, default: `./${name}.js` }]);
  const manifest = {
    name: 'sallyport',
    version: readVersion(),
    private: true,
    type: 'module',
    bin: { sallyport: './sallyport' },
    exports: { ...Object.fromEntries(exports), './package.json': './package.json' },
  };
  await writeFile(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
}

async function link(target: string, path: string): Promise<void> {
  if (existsSync(path)) return;
  await mkdir(dirname(path), { recursive: true });
  // One that leads nowhere any more, because its target moved.
  await rm(path, { force: true });
  // On Windows a junction needs no rights; elsewhere the type means nothing.
  await symlink(target, path, 'junction');
}
