// `sallyport start`: one machine's database, admin service and gateway, each in a process of its own, led from here.
// Must not carry traffic, and must not run plugins or hold a connection to the database once it is migrated.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClock } from '../../gateway/ops/clock.ts';
import { createLog, type Log } from '../../gateway/ops/log.ts';
import { toUrl } from '../../gateway/ops/urls.ts';
import { replaceFile } from '../../gateway/sources/durable-file.ts';
import { checkUnused, type DataDir, openDataDir, readOrCreateSecret, type Secret } from '../data-dir.ts';
import type { Output } from '../output.ts';
import { readSecretKey } from '../secret-key.ts';
import type { Settings } from '../settings.ts';
import { readVersion } from '../version.ts';
import { type HouseDatabase, openDatabase } from './database.ts';
import { checkPorts } from './ports.ts';
import { writeReadyMessage } from './ready-message.ts';
import { awaitStop } from './signals.ts';
import { ChildFailure, type SupervisedChild, superviseChild } from './supervisor.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const MAIN_FILE = fileURLToPath(new URL('../main.js', import.meta.url));
/** Names the file of the data directory that says where a running Sallyport listens. */
const PORTS_FILE = 'ports.json';
/** What a child gets beyond the drain before it is killed: closing files and connections. */
const STOP_GRACE_MS = 5_000;

interface House {
  readonly settings: Settings;
  readonly dataDir: DataDir;
  readonly log: Log;
  readonly children: { readonly gateway: SupervisedChild; readonly admin: SupervisedChild };
  readonly database: HouseDatabase;
}

/** Starts everything, says so, and leads it until a signal. Gives the exit code. */
export async function runHouse(settings: Settings, environment: Environment, output: Output): Promise<number> {
  const startedMs = performance.now();
  // Before the ports: a second start on one directory finds those taken too, and by the first.
  await checkUnused(settings.dataDir);
  await checkPorts(settings);
  const dataDir = await openDataDir(settings.dataDir);
  const log = createLog({ level: settings.logLevel, fields: { process: 'start' } });
  try {
    const token = await readSecrets(settings, dataDir.path);
    const house = openHouse(settings, environment, { dataDir, log });
    return await leadHouse(house, { output, token, startedMs });
  } finally {
    await dataDir.close();
    log.flush();
  }
}

/** Makes the secrets before any child looks for them. Gives the token of the admin when this start made it. */
async function readSecrets(settings: Settings, folder: string): Promise<Secret | undefined> {
  await readSecretKey({ secretKey: settings.secretKey, dataDir: folder });
  return settings.adminToken === undefined ? readOrCreateSecret(folder, 'admin-token') : undefined;
}

function openHouse(settings: Settings, environment: Environment, parts: { dataDir: DataDir; log: Log }): House {
  const clock = createClock();
  const supervise = (name: string, stopMs: number): SupervisedChild =>
    superviseChild({ name, file: MAIN_FILE, words: [name], environment, clock, log: parts.log, stopMs });
  // The children load their code while the database starts; they wait for `begin` before they use it.
  const children = {
    gateway: supervise('gateway', settings.drainMs + STOP_GRACE_MS),
    admin: supervise('admin', STOP_GRACE_MS),
  };
  return { settings, ...parts, children, database: openDatabase(settings, parts) };
}

async function leadHouse(
  house: House,
  start: { readonly output: Output; readonly token: Secret | undefined; readonly startedMs: number },
): Promise<number> {
  const { gateway, admin } = house.children;
  const stop = awaitStop(undefined, () => endHouse(house));
  const reopen = (): void => gateway.send({ channel: 'reopen' });
  process.on('SIGHUP', reopen);
  try {
    const started = await Promise.race([startAll(house), stop.stopped]);
    if (started === undefined) return 0;
    const { urls, isReachable } = started;
    await replaceFile(
      join(house.dataDir.path, PORTS_FILE),
      `${JSON.stringify({ pid: process.pid, ...urls }, null, 2)}\n`,
    );
    const readyMs = performance.now() - start.startedMs;
    const { settings, database } = house;
    const facts = {
      version: readVersion(),
      urls,
      dataDir: settings.dataDir,
      isEmbedded: database.isEmbedded,
      isReachable,
      readyMs,
    };
    start.output.print(writeReadyMessage({ ...facts, newToken: start.token?.isNew ? start.token.value : undefined }));
    await stop.stopped;
    return 0;
  } catch (error) {
    // The child has said why itself.
    if (error instanceof ChildFailure) return 1;
    throw error;
  } finally {
    await Promise.all([gateway.stop(), admin.stop()]);
    await house.database.close();
    await rm(join(house.dataDir.path, PORTS_FILE), { force: true });
    process.off('SIGHUP', reopen);
    stop.close();
  }
}

interface Started {
  readonly urls: Readonly<Record<string, string>>;
  /** The database answered. */
  readonly isReachable: boolean;
}

async function startAll({ settings, children, database }: House): Promise<Started> {
  const gatewayReady = children.gateway.ready;
  const adminReady = children.admin.ready;
  const { url, isReachable } = await Promise.race([database.start(), failureOf(gatewayReady), failureOf(adminReady)]);
  children.admin.begin(url);
  children.gateway.begin(url);
  const gateway = await Promise.race([gatewayReady, failureOf(adminReady)]);
  if (isReachable) return { urls: { ...gateway, ...(await adminReady) }, isReachable };
  // The admin service waits for the database; the gateway serves without it, and that is what counts.
  return { urls: { ...gateway, admin: toUrl(settings.adminListen.host, settings.adminListen.port) }, isReachable };
}

/** Settles only when the promise is rejected. */
function failureOf(promise: Promise<unknown>): Promise<never> {
  return new Promise<never>((_, reject) => {
    promise.catch(reject);
  });
}

function endHouse({ children, database }: House): Promise<unknown> {
  database.kill();
  return Promise.all([children.gateway.end(), children.admin.end()]);
}
