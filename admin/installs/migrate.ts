// Lets a new version of a plugin bring the configurations of its bindings into its own shape, before it is installed.
// Must not run code in this process: a child does, which may touch nothing.
import type { DocumentState } from '../../gateway/core/config.ts';
import type { ConfigStep, Install } from '../../gateway/core/model.ts';
import type { Logger } from '../../gateway/core/plugin.ts';
import { openSandbox, type Sandbox } from '../../gateway/sandbox/sandbox.ts';
import type { MigratedConfigs } from '../document/installs.ts';
import { isRecord } from '../document/read.ts';
import { AdminError, invalid, invalidField } from '../errors.ts';
import { type PackageServices, readPackage } from './package.ts';

/** Longest that all configurations of one upgrade may take. */
const MIGRATION_TIMEOUT_MS = 20_000;

/** Is what a migration needs. */
export interface MigrationServices extends PackageServices {
  readonly log: Logger;
}

/** Names the way: from an install to another version of it. */
export interface Upgrade {
  readonly install: Install;
  readonly version: string;
}

/** Gives what the version makes of each configuration; nothing when shapes did not change. @throws CONFIG_INVALID */
export async function migrateConfigs(
  services: MigrationServices,
  state: DocumentState,
  { install, version }: Upgrade,
): Promise<MigratedConfigs> {
  const bindings = [...state.bindings.values()].filter(
    ({ plugin, effect }) => plugin === install.plugin && effect === 'apply',
  );
  if (version === install.version || bindings.length === 0) return new Map();
  const pkg = await readPackage(services, install.plugin, version);
  const from = install.manifest.configVersion ?? 1;
  // A version that is not there, or goes back, is refused or checked by whoever writes it.
  if (pkg === undefined || (pkg.manifest.configVersion ?? 1) <= from) return new Map();

  const sandbox = await openSandbox({
    code: pkg.code,
    manifest: pkg.manifest,
    // Of hosts and secrets it learns nothing all the same: they are lent at a set-up, and there is none.
    granted: pkg.manifest.permissions,
    secrets: {},
    tier: 'process',
    log: services.log,
  }).catch((error: unknown) => {
    throw invalidField('/version', `its code does not load: ${reasonOf(error)}`);
  });
  try {
    return await withinTime(migrateAll(sandbox, bindings, from));
  } finally {
    await sandbox.close();
  }
}

async function migrateAll(
  { migrate }: Sandbox,
  bindings: readonly { readonly id: string; readonly config: ConfigStep['before'] }[],
  from: number,
): Promise<MigratedConfigs> {
  const steps = new Map<string, ConfigStep>();
  if (migrate === undefined) return steps;
  for (const { id, config } of bindings) {
    const pointer = `/bindings/${id}/config`;
    const after = await migrate(config, from).catch((error: unknown) => {
      throw invalid([{ pointer, message: `its migration failed: ${reasonOf(error)}` }]);
    });
    if (!isRecord(after)) throw invalid([{ pointer, message: 'its migration gave no object' }]);
    steps.set(id, { before: config, after });
  }
  return steps;
}

async function withinTime<Result>(work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const refusal = new AdminError('CONFIG_INVALID', `Its migrations took longer than ${MIGRATION_TIMEOUT_MS} ms.`);
    timer = setTimeout(() => reject(refusal), MIGRATION_TIMEOUT_MS);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
