// Runs a real Postgres inside the data directory, for a start without DATABASE_URL.
// Must not speak SQL, hook signals of this process, or create system users.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Logger } from '../../gateway/core/plugin.ts';
import { createFile, syncFolder } from '../../gateway/sources/durable-file.ts';
import { type Account, type PostgresBinaries, prepareBinaries } from './postgres-binaries.ts';
import { stopOrphans } from './postgres-orphans.ts';
import {
  findFreePort,
  pathFromInside,
  programEnvironment,
  type ServerProcess,
  startServer,
} from './postgres-process.ts';

/** Says where the server lives and how it is to run. */
export interface EmbeddedPostgresOptions {
  /** The data directory; the server's own files go to `postgres` inside it. */
  readonly dataDir: string;
  readonly log: Logger;
  /** Port on 127.0.0.1; default: a free one, another at each start. */
  readonly port?: number;
  /** Server settings on top of ours, such as `{ fsync: 'off' }` in tests. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Is called when the server ends without `stop`. */
  readonly onExit?: (reason: string) => void;
}

/** Is a running server that this process owns. */
export interface EmbeddedPostgres {
  readonly databaseUrl: string;
  readonly port: number;
  /** Process id of the postmaster. */
  readonly pid: number;
  /** Ends the server; every committed transaction is on disk when it resolves. Harmless when called again. */
  stop(): Promise<void>;
}

const run = promisify(execFile);

const USER = 'sallyport';
const PASSWORD_BYTES = 24;
const INITDB_TIMEOUT_MS = 120_000;

/** Another process may take the free port before the server does. */
const MAX_TRIES = 5;

const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  // A failed statement or a violated constraint would be logged with the values in it.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  // Keeps the log small: it is bounded only at each start.
  log_min_messages: 'warning',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
};

/**
 * Starts the server, at the first start with a new cluster, and resolves when it accepts connections. As root it runs as
 * user `postgres` or else `nobody`, because Postgres refuses to run as root. A server that a killed run left is stopped first.
 * @throws Error when this platform has no programs, the cluster is of another major version, or the server does not get ready.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, log } = options;
  const clusterDir = join(dataDir, 'postgres');
  const account = await chooseAccount(clusterDir);
  const binaries = await prepareBinaries(account);
  const password = await readPassword(dataDir);
  await stopOrphans(clusterDir, log);
  await createCluster(dataDir, password, binaries, account);

  const settings = { ...SERVER_SETTINGS, ...options.settings };
  const fixed = { binary: binaries.postgres, clusterDir, logPath: join(dataDir, 'postgres.log'), account, settings };
  for (let tries = 1; ; tries += 1) {
    const port = options.port ?? (await findFreePort());
    try {
      return own(await startServer({ ...fixed, port }), { ...options, port, password });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const isPortTaken = /could not bind|could not create any TCP\/IP sockets/.test(reason);
      if (!isPortTaken || tries === MAX_TRIES) throw new Error(`the embedded Postgres did not start: ${reason}`);
    }
  }
}

function own(
  server: ServerProcess,
  { port, password, log, onExit }: EmbeddedPostgresOptions & { port: number; password: string },
): EmbeddedPostgres {
  let stopping: Promise<void> | undefined;
  void server.ended.then((reason) => {
    if (!stopping) onExit?.(reason);
  });
  return {
    databaseUrl: `postgres://${USER}:${password}@127.0.0.1:${port}/postgres`,
    port,
    pid: server.pid,
    stop() {
      stopping ??= server.stop(log);
      return stopping;
    },
  };
}

/** Chooses who runs the server; undefined = we ourselves. A cluster made earlier stays with its owner. */
async function chooseAccount(clusterDir: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const owner = await stat(clusterDir).catch(() => undefined);
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const users = new Map<string, Account>();
  for (const line of (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name && Number(uid) > 0) users.set(name, { uid: Number(uid), gid: Number(gid) });
  }
  const account = users.get('postgres') ?? users.get('nobody');
  if (!account)
    throw new Error('Postgres does not run as root and there is no user postgres or nobody: set DATABASE_URL');
  return account;
}

async function readPassword(dataDir: string): Promise<string> {
  const path = join(dataDir, 'postgres-password');
  const there = await readFile(path, 'utf8').catch(() => undefined);
  if (there === undefined) await createFile(path, `${randomBytes(PASSWORD_BYTES).toString('base64url')}\n`);
  return (there ?? (await readFile(path, 'utf8'))).trim();
}

/** Makes the cluster unless there is one. It appears by one rename: a start that was killed half way leaves nothing that counts. */
async function createCluster(
  dataDir: string,
  password: string,
  binaries: PostgresBinaries,
  account: Account | undefined,
): Promise<void> {
  const clusterDir = join(dataDir, 'postgres');
  const version = await readFile(join(clusterDir, 'PG_VERSION'), 'utf8').catch(() => undefined);
  if (version !== undefined) {
    if (version.trim() === binaries.majorVersion) return;
    const made = `${clusterDir} was made by Postgres ${version.trim()}`;
    throw new Error(
      `${made}, and this is ${binaries.majorVersion}: dump it with the old release and load it with this one`,
    );
  }
  const fresh = join(dataDir, 'postgres.new');
  await rm(fresh, { recursive: true, force: true });
  const cluster = join(fresh, 'cluster');
  const passwordFile = join(fresh, 'password');
  await mkdir(cluster, { recursive: true, mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  if (account) for (const path of [fresh, cluster, passwordFile]) await chown(path, account.uid, account.gid);
  await runInitdb(cluster, binaries.initdb, account);
  await rename(cluster, clusterDir);
  await syncFolder(dataDir);
  await rm(fresh, { recursive: true, force: true });
}

async function runInitdb(cluster: string, initdb: string, account: Account | undefined): Promise<void> {
  const location = ['-D', pathFromInside(cluster), '--pwfile=../password'];
  const kind = ['--encoding=UTF8', '--locale=C', '--auth=scram-sha-256', `--username=${USER}`, '--no-instructions'];
  try {
    await run(initdb, [...location, ...kind], {
      cwd: cluster,
      env: programEnvironment(),
      timeout: INITDB_TIMEOUT_MS,
      ...account,
    });
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    throw new Error(`the embedded Postgres could not be set up: ${stderr?.trim() || message}`);
  }
}
