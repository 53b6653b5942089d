// The id of a node, the same over restarts: a node that comes back takes its own row in /v1/nodes again.
// Must not be shared by two nodes: whoever gives the folder holds its lock.
import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile } from '../../../sources/durable-file.ts';

const FILE = 'node-id';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Gives the id kept in the folder; makes one at the first start. */
export async function readNodeId(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, FILE);
  await createFile(path, `${randomUUID()}\n`);
  const id = (await readFile(path, 'utf8')).trim();
  if (!UUID.test(id)) throw new Error(`${path} holds no id: delete it to have a new one made`);
  return id;
}
