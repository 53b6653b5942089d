// `sallyport plugin uninstall`: removes an install.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';

/** Takes a plugin that is not bound out of the gateways. */
export const pluginUninstallCommand: Command = {
  name: 'plugin uninstall',
  usage: 'NAMESPACE/NAME',
  summary: 'takes a plugin that is not bound out of the gateways',
  details: 'Removes an install. Refused while a binding uses it; the bindings are named.',
  examples: ['sallyport plugin uninstall acme/hello'],
  options: {
    'dry-run': { type: 'boolean', description: 'shows what would change and changes nothing' },
  },
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [text = ''], options, readSettings, output }) {
    const { describeWrite, readPluginName, writeInstall } = await import('../../installs/installs.ts');
    const { plugin } = readPluginName(text);
    const isDryRun = options['dry-run'];
    const answer = await writeInstall(readSettings(), { method: 'DELETE', path: `/${plugin}`, isDryRun });
    output.print(isDryRun ? describeWrite(answer, '') : `Uninstalled ${plugin}.`);
    return 0;
  },
};
