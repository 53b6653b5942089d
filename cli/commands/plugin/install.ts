// `sallyport plugin install`: puts a version of the marketplace into the running gateways.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';
import { defineInstallCommand } from '../../installs/command.ts';

/** Installs a version of a plugin into the running gateways. */
export const pluginInstallCommand: Command = defineInstallCommand({
  name: 'plugin install',
  summary: 'installs a version of a plugin into the running gateways',
  details:
    'Installs a version that the marketplace has approved. What it may touch is shown first: nothing is installed before it is\n' +
    'agreed to with --grant. Returns when every gateway runs it, or says which does not and why.',
  examples: [
    'sallyport plugin install acme/hello@1.2.0',
    'sallyport plugin install acme/hello@1.2.0 --grant --secrets hello.env',
  ],
  takesVersion: true,
  done: 'Installed',
  ask: (plugin, version) => ({ method: 'POST', path: '', body: { plugin, version } }),
});
