// The format of what changed since a saved document: one update a line, each bound to all before it by a checksum.
// Must not decide which file to use, nor when it has grown too long.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import type { Change, Update } from '../core/model.ts';
import { readSlices } from './slices.ts';

/** First word of the file; a reader that finds another refuses the rest. */
const MAGIC = 'sallyport-changes';

/** Raised when an older reader would misread the file. */
const FORMAT = 1;

const PRIVATE = 0o600;
const DIGEST_LENGTH = 64;

/** Is where a journal ends: what the next line is bound to, and how long the file is. Of one that was not begun, 0 bytes. */
export interface JournalEnd {
  /** Checksum of the document while there is no line. */
  readonly digest: string;
  readonly bytes: number;
}

/** Is one line: what brought the document to a revision. */
export interface JournalEntry {
  readonly revision: number;
  readonly savedAtMs: number;
  readonly changes: readonly Change[];
}

/** Appends updates and syncs; begins the file anew when `end` says that there is none. Gives where it ends then. */
export async function appendToJournal(
  path: string,
  end: JournalEnd,
  updates: readonly Pick<Update, 'revision' | 'changes'>[],
): Promise<JournalEnd> {
  let { digest } = end;
  let text = end.bytes === 0 ? `${MAGIC} ${JSON.stringify({ format: FORMAT, base: digest })}\n` : '';
  for (const { revision, changes } of updates) {
    const entry: JournalEntry = { revision, savedAtMs: Date.now(), changes };
    const line = JSON.stringify(entry);
    digest = bind(digest, line);
    text += `${digest} ${line}\n`;
  }
  const handle = await open(path, end.bytes === 0 ? 'w' : 'a', PRIVATE);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { digest, bytes: end.bytes + Buffer.byteLength(text) };
}

/** Reads what was appended to the document with this checksum, up to the first line that is not whole. Never rejects. */
export async function readJournal(path: string, base: string): Promise<readonly JournalEntry[]> {
  const entries: JournalEntry[] = [];
  try {
    const handle = await open(path, 'r');
    try {
      let digest: string | undefined;
      for await (const lines of readSlices(handle)) {
        for (const line of lines) {
          const text = line.toString('utf8');
          if (digest === undefined) {
            if (!isHead(text, base)) return [];
            digest = base;
            continue;
          }
          const json = text.slice(DIGEST_LENGTH + 1);
          digest = bind(digest, json);
          if (text.slice(0, DIGEST_LENGTH + 1) !== `${digest} `) return entries;
          entries.push(JSON.parse(json) as JournalEntry);
        }
      }
    } finally {
      await handle.close();
    }
  } catch {
    // None, or one that ends within a line: a power cut came before it was synced. What is whole before that stands.
  }
  return entries;
}

function bind(digest: string, line: string): string {
  return createHash('sha256').update(digest).update(line).digest('hex');
}

function isHead(line: string, base: string): boolean {
  if (!line.startsWith(`${MAGIC} `)) return false;
  const head = JSON.parse(line.slice(MAGIC.length + 1)) as { readonly format?: unknown; readonly base?: unknown };
  return head.format === FORMAT && head.base === base;
}
