// `sallyport plugin upgrade`: brings an installed plugin to another version.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';
import { defineInstallCommand } from '../../installs/command.ts';

/** Brings an installed plugin to another version. */
export const pluginUpgradeCommand: Command = defineInstallCommand({
  name: 'plugin upgrade',
  summary: 'brings an installed plugin to another version',
  details:
    'Moves the pin of an installed plugin, with the configurations of its bindings. One that asks for more than was granted\n' +
    'needs --grant. The version before is kept: `sallyport plugin rollback` goes back to it.',
  examples: ['sallyport plugin upgrade acme/hello@1.3.0 --dry-run', 'sallyport plugin upgrade acme/hello@1.3.0'],
  takesVersion: true,
  done: 'Upgraded to',
  ask: (plugin, version) => ({ method: 'PATCH', path: `/${plugin}`, body: { version } }),
});
