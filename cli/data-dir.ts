// Owns the data directory: makes it, lets one process at a time use it, keeps the secrets made at the first start.
// Must not know what others keep in it.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createFile, replaceFile } from '../gateway/sources/durable-file.ts';
import { CommandError } from './output.ts';
import { readProcessIdentity } from './process-identity.ts';

/** Is a data directory that this process holds the lock of. */
export interface DataDir {
  /** Absolute path. */
  readonly path: string;
  /** Releases the lock. */
  close(): Promise<void>;
}

/** Names the secrets kept in files of the same name. */
export type SecretName = 'admin-token' | 'secret-key';

/** Is a secret read from its file. */
export interface Secret {
  readonly value: string;
  /** True when it was made just now: the time to show it once. */
  readonly isNew: boolean;
}

const PRIVATE_FOLDER = 0o700;
const PRIVATE_FILE = 0o600;
const SECRET_BYTES = 32;
const RELEASED = 'released';
const LOCK_NAME = /^lock\.(\d{1,15})$/;

/** Makes each secret. The prefix of a token lets scanners of leaked secrets find it. */
const MAKERS: Readonly<Record<SecretName, () => string>> = {
  'admin-token': () => `sallyport_${randomBytes(SECRET_BYTES).toString('base64url')}`,
  'secret-key': () => randomBytes(SECRET_BYTES).toString('base64url'),
};

/**
 * Opens the directory for this process alone; makes it (0700) when there is none. The lock of a killed process is taken over.
 * @throws CommandError in one line when another process uses it, with its pid, or when the system refuses
 */
export async function openDataDir(path: string): Promise<DataDir> {
  const folder = await makeDataDir(path);
  const lock = await naming(folder, () => takeLock(folder));
  return { path: folder, close: () => replaceFile(lock, RELEASED) };
}

/** Looks whether another process uses the directory; makes nothing. @throws CommandError that names its pid */
export async function checkUnused(path: string): Promise<void> {
  const folder = resolve(path);
  // What cannot be read is told when the directory is opened.
  const highest = Math.max(0, ...(await listLocks(folder).catch(() => [])));
  if (highest > 0) await checkHolder(folder, highest);
}

/** Makes the directory (0700) when there is none, and gives its absolute path. @throws CommandError when the system refuses */
export async function makeDataDir(path: string): Promise<string> {
  const folder = resolve(path);
  await naming(folder, () => makeFolder(folder));
  return folder;
}

/**
 * Reads a secret of the data directory; makes it, durable and 0600, when there is none. Safe to call from several
 * processes at once: all get the same one.
 * @throws CommandError when the file is empty, or when the system refuses
 */
export async function readOrCreateSecret(dataDir: string, name: SecretName): Promise<Secret> {
  const path = join(dataDir, name);
  return await naming(path, async () => {
    const isNew = await createFileUnlessThere(path, MAKERS[name]);
    const value = (await readFile(path, 'utf8')).trim();
    if (value === '') throw new CommandError(`${path} is empty: restore it, or delete it to have a new one made`);
    if (!isNew) await chmod(path, PRIVATE_FILE).catch(() => undefined);
    return { value, isNew };
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a file is in the way',
  EEXIST: 'a file is in the way',
  ENOENT: 'nothing can be made there',
};

/** Says in a few words why the system refused a file or folder. */
export function describeRefusedFile(error: unknown): string {
  if (!(error instanceof Error && 'code' in error)) return String(error);
  const code = String(error.code);
  return REASONS[code] === undefined ? error.message : `${REASONS[code]} (${code})`;
}

/** Does what needs `path`; what the system refuses names the setting that leads there. */
async function naming<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    const remedy = 'set it to a folder that this user may write to';
    throw new CommandError(`SALLYPORT_DATA_DIR: cannot use ${path}: ${describeRefusedFile(error)}; ${remedy}`);
  }
}

/** Node's own recursive mkdir never ends where a folder is there and yet says ENOENT to what is made in it, as /proc does. */
async function makeFolder(folder: string): Promise<void> {
  if (await isFolder(folder)) return;
  const parent = dirname(folder);
  if (parent !== folder) await makeFolder(parent);
  await mkdir(folder, { mode: PRIVATE_FOLDER }).catch(async (error: Error) => {
    // Another process may have made it meanwhile.
    if (!(await isFolder(folder))) throw error;
  });
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

async function createFileUnlessThere(path: string, make: () => string): Promise<boolean> {
  const there = await readFile(path).catch(() => undefined);
  return there === undefined && createFile(path, `${make()}\n`);
}

/**
 * Locks are numbered, and only the highest counts. A number is taken by making its file, which one process alone can do;
 * and as the highest is never deleted, no number is ever given twice. So two that find the same dead holder cannot both
 * take over: a lock file that is deleted or overwritten to take it over always leaves them a gap to do so.
 */
async function takeLock(folder: string): Promise<string> {
  const content = `${process.pid} ${await readProcessIdentity(process.pid)}`;
  for (;;) {
    const highest = Math.max(0, ...(await listLocks(folder)));
    if (highest > 0) await checkHolder(folder, highest);
    const mine = highest + 1;
    const path = lockPath(folder, mine);
    if (!(await createFile(path, content))) continue;
    const numbers = await listLocks(folder);
    if (Math.max(...numbers) === mine) {
      await Promise.all(
        numbers.filter((number) => number < mine).map((number) => rm(lockPath(folder, number), { force: true })),
      );
      return path;
    }
    // We read the list before others took and cleared that number: start over from what is there now.
    await rm(path, { force: true });
  }
}

async function listLocks(folder: string): Promise<number[]> {
  return (await readdir(folder)).flatMap((name) => Number(LOCK_NAME.exec(name)?.[1] ?? []));
}

function lockPath(folder: string, number: number): string {
  return join(folder, `lock.${number}`);
}

async function checkHolder(folder: string, number: number): Promise<void> {
  const content = await readFile(lockPath(folder, number), 'utf8').catch(() => RELEASED);
  const [pid, identity] = content.trim().split(' ');
  if (pid === RELEASED || identity === undefined) return;
  if ((await readProcessIdentity(Number(pid))) === identity) {
    throw new CommandError(
      `the data directory ${folder} is in use by process ${pid}; stop it, or set SALLYPORT_DATA_DIR to another`,
    );
  }
}
