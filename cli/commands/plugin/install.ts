// `sallyport plugin install`: puts a version of the marketplace into the running gateways.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';

/** Installs a version of a plugin into the running gateways. */
export const pluginInstallCommand: Command = {
  name: 'plugin install',
  usage: 'NAMESPACE/NAME@VERSION',
  summary: 'installs a version of a plugin into the running gateways',
  details:
    'Installs a version that the marketplace has approved. What it may touch is shown first: nothing is installed before it is\n' +
    'agreed to with --grant. Returns when every gateway runs it, or says which does not and why.',
  examples: [
    'sallyport plugin install acme/hello@1.2.0',
    'sallyport plugin install acme/hello@1.2.0 --grant --secrets hello.env',
  ],
  options: {
    grant: { type: 'boolean', description: 'agrees to everything that the version asks for' },
    secrets: { type: 'string', value: 'FILE', description: 'reads secrets of the plugin from lines NAME=value' },
    'dry-run': { type: 'boolean', description: 'shows what would change and changes nothing' },
  },
  minArguments: 1,
  maxArguments: 1,
  async run({ arguments: [text = ''], options, values, readSettings, output }) {
    const { describeWrite, readPinnedName, readSecrets, writeInstall } = await import('../../installs/installs.ts');
    const pin = readPinnedName(text);
    const secrets = await readSecrets(values['secrets']);
    const answer = await writeInstall(readSettings(), {
      method: 'POST',
      path: '',
      body: { ...pin, ...(secrets === undefined ? {} : { secrets }) },
      isGranted: options['grant'],
      isDryRun: options['dry-run'],
    });
    output.print(describeWrite(answer, 'Installed'));
    return 0;
  },
};
