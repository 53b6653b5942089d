// `sallyport plugin uninstall`: removes an install.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';
import { defineInstallCommand } from '../../installs/command.ts';

/** Takes a plugin that is not bound out of the gateways. */
export const pluginUninstallCommand: Command = defineInstallCommand({
  name: 'plugin uninstall',
  summary: 'takes a plugin that is not bound out of the gateways',
  details: 'Removes an install. Refused while a binding uses it; the bindings are named.',
  examples: ['sallyport plugin uninstall acme/hello'],
  takesVersion: false,
  done: 'Uninstalled',
  ask: (plugin) => ({ method: 'DELETE', path: `/${plugin}` }),
});
