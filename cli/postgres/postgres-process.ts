// Runs the server process: starts it apart from the terminal, waits until it accepts connections, stops it.
// Must not know how a cluster is made.
import { type ChildProcess, spawn } from 'node:child_process';
import { type FileHandle, open, readFile, rename, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../../gateway/core/plugin.ts';
import type { Account } from './postgres-binaries.ts';

/** Says what to run, where, as whom. */
export interface ServerOptions {
  readonly binary: string;
  readonly clusterDir: string;
  readonly logPath: string;
  readonly account: Account | undefined;
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
}

/** Is a server process. */
export interface ServerProcess {
  readonly pid: number;
  /** Resolves with the reason when the process has ended, whoever ended it. */
  readonly ended: Promise<string>;
  /** Ends it: cleanly within ten seconds, else at once, to recover at its next start. */
  stop(log: Logger): Promise<void>;
}

/** Recovery after a power cut replays the log and may take long; a healthy start takes 30 ms. */
const READY_TIMEOUT_MS = 120_000;
const READY_POLL_MS = 5;

/** Each step is harder than the one before: a checkpoint and out, drop everything, be killed. */
const STOP_STEPS = [
  { signal: 'SIGINT', waitMs: 10_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 5_000 },
] as const;

/** The log file is set aside at this size, and one older file is kept. */
const MAX_LOG_BYTES = 8 * 1024 * 1024;
const MAX_LOG_TAIL_BYTES = 2_000;

/** Gives the path by which a program finds the folder it was started in, whatever it may traverse. */
export function pathFromInside(folder: string): string {
  // As root the server runs under another account, which may be unable to enter a folder above (mktemp -d, /root).
  // The working directory is set before the account changes, and this link leads there without a walk.
  return process.platform === 'linux' ? '/proc/self/cwd' : folder;
}

/** Gives the environment of a Postgres program: nothing of ours, least of all PGDATA or PGPORT. */
export function programEnvironment(): Record<string, string> {
  const systemRoot = process.env['SystemRoot'];
  return { LC_ALL: 'C', TZ: 'UTC', ...(systemRoot === undefined ? {} : { SystemRoot: systemRoot }) };
}

/** Finds a port of 127.0.0.1 that nobody listens on now; somebody may a moment later. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1' }, resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port on 127.0.0.1');
  return address.port;
}

/**
 * Starts the server and resolves when it accepts connections.
 * @throws Error with the end of the server's log when it ends instead, or is not ready within two minutes.
 */
export async function startServer(options: ServerOptions): Promise<ServerProcess> {
  const logFile = await openLog(options.logPath);
  const logStart = (await logFile.stat()).size;
  const server = spawnServer(options, logFile);
  await logFile.close();

  const isReady = await Promise.race([waitUntilReady(options, server), server.ended.then(() => false)]);
  if (isReady) return server;
  await server.stop(SILENT);
  throw new Error((await readLogTail(options.logPath, logStart)) || (await server.ended));
}

const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

function spawnServer(
  { binary, clusterDir, account, port, settings }: ServerOptions,
  logFile: FileHandle,
): ServerProcess {
  const args = ['-D', pathFromInside(clusterDir), '-c', `port=${port}`];
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);
  const child = spawn(binary, args, {
    cwd: clusterDir,
    env: programEnvironment(),
    // A group of its own: Ctrl-C in the terminal must not stop the database before its users.
    detached: true,
    // A file, not a pipe: the server writes on whatever this process does.
    stdio: ['ignore', logFile.fd, logFile.fd],
    ...account,
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : `killed by ${signal}`));
  });
  return { pid: child.pid ?? 0, ended, stop: (log) => stopServer(child, ended, log) };
}

async function waitUntilReady({ clusterDir, port }: ServerOptions, server: ServerProcess): Promise<boolean> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  let hasEnded = false;
  void server.ended.then(() => {
    hasEnded = true;
  });
  while (!hasEnded && performance.now() < deadline) {
    // pg_ctl waits the same way. pid and port together tell our server's file from one that a killed server left:
    // in a container pids repeat.
    const lines = (await readFile(join(clusterDir, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n');
    if (lines[0] === String(server.pid) && lines[3] === String(port) && lines[7]?.trim() === 'ready') return true;
    await delay(READY_POLL_MS);
  }
  return false;
}

async function stopServer(child: ChildProcess, ended: Promise<string>, log: Logger): Promise<void> {
  for (const { signal, waitMs } of STOP_STEPS) {
    child.kill(signal);
    const timeout = new AbortController();
    const late = delay(waitMs, true, { signal: timeout.signal }).catch(() => true);
    const isLate = await Promise.race([ended.then(() => false), late]);
    timeout.abort();
    if (!isLate) return;
    log.warn('the embedded Postgres does not stop', { signal, waitedMs: waitMs });
  }
  throw new Error(`the embedded Postgres (pid ${child.pid}) does not end`);
}

async function openLog(path: string): Promise<FileHandle> {
  const size = (await stat(path).catch(() => undefined))?.size ?? 0;
  if (size > MAX_LOG_BYTES) await rename(path, `${path}.1`);
  return open(path, 'a', 0o600);
}

async function readLogTail(path: string, start: number): Promise<string> {
  const text = (await readFile(path)).subarray(start).subarray(-MAX_LOG_TAIL_BYTES).toString('utf8');
  return text.trim();
}
