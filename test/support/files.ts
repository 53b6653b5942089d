// Places for files that a test writes.
// Must not outlive the folder that the test made.
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Gives the path of a file below `folder`, whose own folder is there. */
export async function mkdirFor(folder: string, name: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  return path;
}
