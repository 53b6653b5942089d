// The commands, in the order in which help lists them.
// Must not load what a command needs to run: each command imports that itself when it runs.
import type { Command } from './command.ts';
import { adminCommand } from './commands/admin.ts';
import { applyCommand } from './commands/apply.ts';
import { checkCommand } from './commands/check.ts';
import { exportCommand } from './commands/export.ts';
import { gatewayCommand } from './commands/gateway.ts';
import { importKongCommand } from './commands/import/kong.ts';
import { importOpenapiCommand } from './commands/import/openapi.ts';
import { migrateCommand } from './commands/migrate.ts';
import { pluginDevCommand } from './commands/plugin/dev.ts';
import { pluginInstallCommand } from './commands/plugin/install.ts';
import { pluginKeygenCommand } from './commands/plugin/keygen.ts';
import { pluginListCommand } from './commands/plugin/list.ts';
import { pluginNewCommand } from './commands/plugin/new.ts';
import { pluginPackCommand } from './commands/plugin/pack.ts';
import { pluginPublishCommand } from './commands/plugin/publish.ts';
import { pluginRollbackCommand } from './commands/plugin/rollback.ts';
import { pluginSignCommand } from './commands/plugin/sign.ts';
import { pluginTestCommand } from './commands/plugin/test.ts';
import { pluginUninstallCommand } from './commands/plugin/uninstall.ts';
import { pluginUpgradeCommand } from './commands/plugin/upgrade.ts';
import { startCommand } from './commands/start.ts';

/** Holds every command. */
export const COMMANDS: readonly Command[] = [
  startCommand,
  adminCommand,
  gatewayCommand,
  migrateCommand,
  checkCommand,
  applyCommand,
  exportCommand,
  importKongCommand,
  importOpenapiCommand,
  pluginNewCommand,
  pluginDevCommand,
  pluginTestCommand,
  pluginPackCommand,
  pluginKeygenCommand,
  pluginSignCommand,
  pluginPublishCommand,
  pluginInstallCommand,
  pluginListCommand,
  pluginUpgradeCommand,
  pluginRollbackCommand,
  pluginUninstallCommand,
];
