// `sallyport plugin rollback`: goes back to the version before.
// Must not judge a version: the admin service and every node do.
import type { Command } from '../../command.ts';
import { defineInstallCommand } from '../../installs/command.ts';

/** Goes back to the version that ran before. */
export const pluginRollbackCommand: Command = defineInstallCommand({
  name: 'plugin rollback',
  summary: 'goes back to the version that ran before',
  details:
    'Moves the pin back to the version before the last upgrade. Bindings that were not written since get the configuration\n' +
    'that they had with it.',
  examples: ['sallyport plugin rollback acme/hello'],
  takesVersion: false,
  done: 'Rolled back to',
  ask: (plugin) => ({ method: 'POST', path: `/${plugin}/rollback` }),
});
