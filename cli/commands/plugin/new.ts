// `sallyport plugin new`: a plugin's project in a new folder, which runs at once.
// Must not overwrite anything.
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from '../../command.ts';
import { CommandError } from '../../output.ts';
import type { PluginName } from '../../plugin/template.ts';

/** Writes the project and says how to go on. */
export const pluginNewCommand: Command = {
  name: 'plugin new',
  usage: 'NAMESPACE/NAME [FOLDER]',
  summary: "makes a plugin's project in a new folder",
  details:
    'Makes a small plugin in TypeScript with fixtures and a test, to be changed into yours. FOLDER is NAME when absent, and\n' +
    'must not be there yet, or be empty. Needs no registry: types and the command are linked from this Sallyport.',
  examples: ['sallyport plugin new acme/stamp', 'sallyport plugin new acme/stamp ../plugins/stamp'],
  options: {},
  minArguments: 1,
  maxArguments: 2,
  async run({ arguments: [full = '', path], output }) {
    const plugin = readName(full);
    await refusePlatform(plugin);
    const folder = resolve(path ?? plugin.name);
    await requireEmpty(folder);
    const { listProjectFiles } = await import('../../plugin/template.ts');
    const { linkContract } = await import('../../plugin/contract-link.ts');

    const files = listProjectFiles(plugin);
    for (const [name, text] of files) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text, { flag: 'wx' });
    }
    await linkContract(folder);
    output.print(`made ${full} in ${folder}:`);
    for (const name of files.keys()) output.print(`  ${name}`);
    output.print(['', 'Next:', `  cd ${relative('.', folder) || '.'}`, '  npm run dev', '  npm test'].join('\n'));
    return 0;
  },
};

const NAME = /^([a-z0-9][a-z0-9-]{0,63})\/([a-z0-9][a-z0-9-]{0,63})$/;

function readName(full: string): PluginName {
  const [, namespace, name] = NAME.exec(full) ?? [];
  if (namespace !== undefined && name !== undefined) return { namespace, name };
  const expected = 'expected NAMESPACE/NAME, each of lower-case letters, digits and `-`';
  throw new CommandError(`sallyport plugin new: ${expected}, not ${JSON.stringify(full)}. Example: acme/stamp`, 2);
}

/** Better told now than at the first publication, when code and docs have that name everywhere. */
async function refusePlatform({ namespace, name }: PluginName): Promise<void> {
  const { PLATFORM_NAMESPACES } = await import('../../../admin/marketplace/authority.ts');
  if (!PLATFORM_NAMESPACES.includes(namespace)) return;
  throw new CommandError(
    `sallyport plugin new: the namespace ${namespace} is the platform's, and nobody else publishes there. Example: acme/${name}`,
    2,
  );
}

async function requireEmpty(folder: string): Promise<void> {
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new CommandError(`${folder}: ${error.code === 'ENOTDIR' ? 'it is a file' : error.message}`);
  });
  if (files.length > 0) throw new CommandError(`${folder} is not empty; nothing was written`);
}
