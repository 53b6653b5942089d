// The format of a saved document: a head, one change a line, and a checksum over all of it at the end.
// Must not decide which file to use.
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { Change, Update } from '../core/model.ts';
import { readSlices, SLICE_BYTES } from './slices.ts';

/** Is a document read from a file. */
export interface SavedDocument {
  readonly update: Update;
  readonly savedAtMs: number;
  /** Over all of it: tells it from every other. */
  readonly checksum: string;
}

/** First word of the file; a reader that finds another refuses the rest. */
const MAGIC = 'sallyport-document';

/** Raised when an older reader would misread the file. */
const FORMAT = 1;

const CHECKSUM = /^sha256 ([0-9a-f]{64})$/;
const PRIVATE = 0o600;

interface Head {
  readonly format: number;
  readonly revision: number;
  readonly savedAtMs: number;
}

/**
 * Writes a whole document to `path` (0600), syncs it, and gives its checksum and size. The event loop turns every 64 KiB, and
 * `changes` are asked for as it goes.
 */
export async function writeSnapshotFile(
  path: string,
  revision: number,
  changes: Iterable<Change>,
): Promise<{ readonly checksum: string; readonly bytes: number }> {
  const handle = await open(path, 'w', PRIVATE);
  try {
    const head: Head = { format: FORMAT, revision, savedAtMs: Date.now() };
    const hash = createHash('sha256');
    let slice = `${MAGIC} ${JSON.stringify(head)}\n`;
    for (const change of changes) {
      slice += `${JSON.stringify(change)}\n`;
      if (slice.length < SLICE_BYTES) continue;
      hash.update(slice);
      await handle.write(slice);
      slice = '';
    }
    hash.update(slice);
    const checksum = hash.digest('hex');
    await handle.write(`${slice}sha256 ${checksum}\n`);
    await handle.sync();
    return { checksum, bytes: (await handle.stat()).size };
  } finally {
    await handle.close();
  }
}

/**
 * Reads a whole document back. The event loop turns every 64 KiB.
 * @throws Error when anything in it is not as it was written: torn, cut, changed, of another format.
 */
export async function readSnapshotFile(path: string): Promise<SavedDocument> {
  const handle = await open(path, 'r');
  try {
    return await readLines(handle);
  } finally {
    await handle.close();
  }
}

async function readLines(handle: FileHandle): Promise<SavedDocument> {
  const hash = createHash('sha256');
  const changes: Change[] = [];
  let head: Head | undefined;
  let checksum: string | undefined;
  for await (const lines of readSlices(handle)) {
    for (const line of lines) {
      if (checksum !== undefined) throw new Error('expected nothing after the checksum');
      const text = line.toString('utf8');
      checksum = CHECKSUM.exec(text)?.[1];
      if (checksum !== undefined) continue;
      hash.update(line).update('\n');
      if (head) changes.push(JSON.parse(text) as Change);
      else head = readHead(text);
    }
  }
  if (!head || checksum === undefined) throw new Error('expected a checksum at the end: the file is cut short');
  if (hash.digest('hex') !== checksum) throw new Error('the checksum does not match: the file was damaged');
  return { update: { revision: head.revision, isReset: true, changes }, savedAtMs: head.savedAtMs, checksum };
}

function readHead(line: string): Head {
  if (!line.startsWith(`${MAGIC} `)) throw new Error('this is not a saved configuration');
  const head = JSON.parse(line.slice(MAGIC.length + 1)) as Head;
  if (head.format !== FORMAT) throw new Error(`format ${head.format} is not the one of this release (${FORMAT})`);
  return head;
}
