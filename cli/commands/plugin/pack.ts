// `sallyport plugin pack`: one file that holds a version of the plugin of this folder.
// Must not do the work itself: cli/plugin does.
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from '../../command.ts';
import { CommandError } from '../../output.ts';

/** As much as a node gives them before it runs a version. */
const FIXTURE_BUDGET_MS = 2_000;

/** Bundles, checks, packs, and prints what is in it. */
export const pluginPackCommand: Command = {
  name: 'plugin pack',
  usage: '',
  summary: 'packs the plugin of this folder into one file',
  details:
    'Bundles the code into one file, checks the package as the marketplace does, runs the fixtures, and writes\n' +
    'NAMESPACE-NAME-VERSION.tgz with the manifest, the schema, the fixtures, README.md, CHANGELOG.md and LICENSE. The same\n' +
    'sources give the same bytes.',
  examples: ['sallyport plugin pack', 'sallyport plugin pack --out build/stamp.tgz'],
  options: { out: { type: 'string', value: 'FILE', description: 'where to write it' } },
  minArguments: 0,
  maxArguments: 0,
  async run({ values, output }) {
    const { readProject } = await import('../../plugin/project.ts');
    const { checkFixtures } = await import('../../plugin/check-fixtures.ts');
    const { packageFileOf, packProject } = await import('../../plugin/pack.ts');

    const project = await readProject(process.cwd());
    const packed = await packProject(project);
    const fixtures = await checkFixtures(project, FIXTURE_BUDGET_MS);
    if (!fixtures.ok) throw new CommandError(`the fixtures fail, so nothing was written:\n${fixtures.details}`);
    const file = values['out'] ?? packageFileOf(packed.package);
    await writeFile(resolve(file), packed.bytes);
    const { files, sha256 } = packed.package;
    for (const [name, size] of [...packed.sizes].sort(([a], [b]) => (a < b ? -1 : 1))) {
      output.print(`${files[name]?.slice(0, 12)}  ${String(size).padStart(8)}  ${name}`);
    }
    for (const { name, detail } of packed.warnings) output.print(`to review: ${name}: ${detail}`);
    output.print(`${file}: ${packed.bytes.length} bytes, sha256 ${sha256}`);
    return 0;
  },
};
