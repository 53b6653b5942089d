// `sallyport plugin upgrade`: brings an installed plugin to another version.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';

/** Brings an installed plugin to another version. */
export const pluginUpgradeCommand: Command = {
  name: 'plugin upgrade',
  usage: 'NAMESPACE/NAME@VERSION',
  summary: 'brings an installed plugin to another version',
  details:
    'Moves the pin of an installed plugin, with the configurations of its bindings. One that asks for more than was granted\n' +
    'needs --grant. The version before is kept: `sallyport plugin rollback` goes back to it.',
  examples: ['sallyport plugin upgrade acme/hello@1.3.0 --dry-run', 'sallyport plugin upgrade acme/hello@1.3.0'],
  options: {
    grant: { type: 'boolean', description: 'agrees to everything that the version asks for' },
    secrets: { type: 'string', value: 'FILE', description: 'reads secrets of the plugin from lines NAME=value' },
    'dry-run': { type: 'boolean', description: 'shows what would change and changes nothing' },
  },
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [text = ''], options, values, readSettings, output }) {
    const { describeWrite, readPinnedName, readSecrets, writeInstall } = await import('../../installs/installs.ts');
    const { plugin, version } = readPinnedName(text);
    const secrets = await readSecrets(values['secrets']);
    const answer = await writeInstall(readSettings(), {
      method: 'PATCH',
      path: `/${plugin}`,
      body: { version, ...(secrets === undefined ? {} : { secrets }) },
      isGranted: options['grant'],
      isDryRun: options['dry-run'],
    });
    output.print(describeWrite(answer, 'Upgraded to'));
    return 0;
  },
};
