// Writes small files so that a power cut leaves the old content or the new, never a part.
// Must not know what is in them.
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

const PRIVATE = 0o600;

/** Replaces the file at `path` by one with `content`, readable by its owner alone. */
export async function replaceFile(path: string, content: string | Uint8Array): Promise<void> {
  const fresh = await writeFresh(path, content);
  try {
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes the file at `path`, whole from its first moment. Gives false, and changes nothing, when there is one already. */
export async function createFile(path: string, content: string): Promise<boolean> {
  const fresh = await writeFresh(path, content);
  try {
    await link(fresh, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(fresh, { force: true });
  }
  await syncFolder(dirname(path));
  return true;
}

/** Makes the names in a folder durable: fsync of a file does not cover the entry that names it. */
export async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder, and journals names itself.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeFresh(path: string, content: string | Uint8Array): Promise<string> {
  const fresh = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = await open(fresh, 'wx', PRIVATE);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return fresh;
}
