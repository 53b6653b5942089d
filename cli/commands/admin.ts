// `sallyport admin`: the admin service alone.
// Must not start a database or a gateway.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Admin, AdminOptions } from '../../admin/main.ts';
import type { Log } from '../../gateway/ops/log.ts';
import type { Command, CommandInput } from '../command.ts';
import { describeListenFailure } from '../house/ports.ts';
import { awaitStop } from '../house/signals.ts';
import { CommandError } from '../output.ts';
import { SETTINGS, type Settings } from '../settings.ts';
import { readVersion } from '../version.ts';
import { missingDatabase } from './migrate.ts';

/** Runs the admin service against DATABASE_URL until a signal. */
export const adminCommand: Command = {
  name: 'admin',
  usage: '',
  summary: 'runs the admin service',
  details:
    'Runs the admin REST against DATABASE_URL, migrating the database first. The owner token is SALLYPORT_ADMIN_TOKEN, or\n' +
    'the one in the data directory, made at the first start.',
  examples: ['DATABASE_URL=postgres://sallyport:secret@db:5432/sallyport sallyport admin'],
  options: {},
  minArguments: 0,
  maxArguments: 0,
  run: runAdmin,
};

/** How often a start tries the database again that does not answer. */
const RETRY_INTERVAL_MS = 1_000;
const UNREACHABLE = 'DATABASE_UNAVAILABLE';

async function runAdmin({ readSettings, parent, output }: CommandInput): Promise<number> {
  const settings = readSettings();
  if (parent === undefined && settings.databaseUrl === undefined) throw missingDatabase('admin');
  const [{ createLog }, { startAdmin }] = await Promise.all([
    import('../../gateway/ops/log.ts'),
    import('../../admin/main.ts'),
  ]);
  const log = createLog({ level: settings.logLevel, fields: { process: 'admin' } });
  const stop = awaitStop(parent, () => log.flush());
  try {
    const databaseUrl = await Promise.race([
      parent?.databaseUrl ?? prepareDatabase(settings, log, stop.stopped),
      stop.stopped,
    ]);
    if (databaseUrl === undefined) return 0;
    const { options, newToken } = await readOptions(settings, databaseUrl, log);
    const admin = await startWhenReachable(startAdmin, options, stop.stopped);
    if (admin === undefined) return 0;
    parent?.reportReady({ admin: admin.url });
    if (parent === undefined) output.print(`admin is ready: ${admin.url}/v1`);
    if (newToken !== undefined) output.print(`The admin token, shown this once: ${newToken}`);
    await stop.stopped;
    await admin.close();
    return 0;
  } catch (error) {
    throw describeFailure(error, settings);
  } finally {
    stop.close();
    log.flush();
    parent?.close();
  }
}

/** A process that is led finds a migrated database; one that runs alone sees to that itself, however long it takes. */
async function prepareDatabase(
  { databaseUrl }: Settings,
  log: Log,
  stopped: Promise<void>,
): Promise<string | undefined> {
  if (databaseUrl === undefined) return undefined;
  const { migrate } = await import('../house/migrate-database.ts');
  let isStopped = false;
  const stop = stopped.then(() => {
    isStopped = true;
  });
  while (!(await migrate(databaseUrl, log))) {
    await Promise.race([stop, delay(RETRY_INTERVAL_MS)]);
    if (isStopped) return undefined;
  }
  return databaseUrl;
}

async function readOptions(
  settings: Settings,
  databaseUrl: string,
  log: Log,
): Promise<{ readonly options: AdminOptions; readonly newToken: string | undefined }> {
  const [{ makeDataDir, readOrCreateSecret }, { readSecretKey }, { BUILT_IN_PLUGINS }] = await Promise.all([
    import('../data-dir.ts'),
    import('../secret-key.ts'),
    import('../../gateway/loader.ts'),
  ]);
  await makeDataDir(settings.dataDir);
  const token =
    settings.adminToken === undefined ? await readOrCreateSecret(settings.dataDir, 'admin-token') : undefined;
  const options: AdminOptions = {
    listen: settings.adminListen,
    databaseUrl,
    pluginDirs: [BUILT_IN_PLUGINS, ...settings.pluginDirs],
    marketplaceDir: join(settings.dataDir, 'marketplace'),
    secretKey: await readSecretKey(settings),
    bootstrapToken: settings.adminToken ?? token?.value ?? '',
    log,
    version: readVersion(),
    allowedHosts: settings.adminHosts,
  };
  return { options, newToken: token?.isNew ? token.value : undefined };
}

/** A database that does not answer yet is waited for: the gateways serve meanwhile. */
async function startWhenReachable(
  startAdmin: (options: AdminOptions) => Promise<Admin>,
  options: AdminOptions,
  stopped: Promise<void>,
): Promise<Admin | undefined> {
  let isStopped = false;
  const stop = stopped.then(() => {
    isStopped = true;
  });
  while (!isStopped) {
    try {
      return await startAdmin(options);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === UNREACHABLE)) throw error;
      options.log.warn('the database is out of reach; the admin service waits for it', { error: error.message });
      await Promise.race([stop, delay(RETRY_INTERVAL_MS)]);
    }
  }
  return undefined;
}

function describeFailure(error: unknown, settings: Settings): unknown {
  if (error instanceof Error && error.name === 'PluginError') return new CommandError(error.message);
  if (!(error instanceof Error && 'syscall' in error && error.syscall === 'listen')) return error;
  const code = 'code' in error ? String(error.code) : 'FAILED';
  return new CommandError(describeListenFailure(SETTINGS.adminListen.name, settings.adminListen, code));
}
