// `sallyport plugin rollback`: goes back to the version before.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';

/** Goes back to the version that ran before. */
export const pluginRollbackCommand: Command = {
  name: 'plugin rollback',
  usage: 'NAMESPACE/NAME',
  summary: 'goes back to the version that ran before',
  details:
    'Moves the pin back to the version before the last upgrade. Bindings that were not written since get the configuration\n' +
    'that they had with it.',
  examples: ['sallyport plugin rollback acme/hello'],
  options: {
    'dry-run': { type: 'boolean', description: 'shows what would change and changes nothing' },
  },
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [text = ''], options, readSettings, output }) {
    const { describeWrite, readPluginName, writeInstall } = await import('../../installs/installs.ts');
    const { plugin } = readPluginName(text);
    const answer = await writeInstall(readSettings(), {
      method: 'POST',
      path: `/${plugin}/rollback`,
      isDryRun: options['dry-run'],
    });
    output.print(describeWrite(answer, 'Rolled back to'));
    return 0;
  },
};
