// Keeps the last good configuration on disk, so that a node can start without the control plane.
// Must not interpret what it keeps, and must never let a disk that fails hurt whoever asks it to write.
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { applyUpdate, EMPTY_DOCUMENT, listChanges } from '../core/config.ts';
import type { Change, Update } from '../core/model.ts';
import type { Logger } from '../core/plugin.ts';
import { inSlices } from '../core/slicer.ts';
import { syncFolder } from './durable-file.ts';
import { appendToJournal, type JournalEnd, type JournalEntry, readJournal } from './journal-file.ts';
import { readSnapshotFile, type SavedDocument, writeSnapshotFile } from './snapshot-file.ts';

/** Says where to keep it and whom to tell. */
export interface LastGoodOptions {
  /** Path of the newest generation; `.previous` is added for the one before. */
  readonly path: string;
  readonly log: Logger;
  /** Hears of every save: undefined when it went well, else why not. */
  readonly onSaved?: (error: Error | undefined, revision: number) => void;
  /** Waits so long for further changes before it writes. Default 500. */
  readonly quietMs?: number;
  /** Writes at the latest so long after the first change. Default 2000. */
  readonly maxWaitMs?: number;
}

/** Is what was read back: a whole document, and how old it is. */
export interface LastGoodCopy {
  readonly update: Update;
  /** Wall-clock milliseconds when it was written. */
  readonly savedAtMs: number;
}

/** Keeps two generations of one document on disk, and beside each what changed since it was written. */
export interface LastGood {
  /** Reads the newest generation that is whole; undefined when there is none. Never rejects. */
  load(): Promise<LastGoodCopy | undefined>;
  /**
   * Writes this state, instead of any that still waits. `list` is called, and walked slice by slice, as it is written. With the
   * update that led here from the state saved last, only that is written as a rule, at once: resolves when it is on disk, or has
   * failed. What must be written whole is written soon, and nobody waits for it.
   */
  save(revision: number, list: () => Iterable<Change>, update?: Update): Promise<void>;
  /** Writes now what waits, and resolves when it is on disk or has failed. */
  flush(): Promise<void>;
}

const QUIET_MS = 500;
const MAX_WAIT_MS = 2_000;

/** After a write it rests so many times as long as that took: a big document that changes all the time is not always being written. */
const REST = 10;

/** What changed may take so many bytes, or this share of the document's, before the document is written again. */
const MIN_JOURNAL_BYTES = 256 * 1024;
const JOURNAL_SHARE = 0.25;

/** Past so many updates that wait for a slow disk, the document is written instead. */
const MAX_WAITING = 1_000;

interface Pending {
  readonly revision: number;
  readonly list: () => Iterable<Change>;
  /** Lead here from what was written before; undefined when not all of them are known. */
  readonly updates: readonly Update[] | undefined;
  /** Wait until it is written. */
  readonly waiting: readonly (() => void)[];
}

/** Builds the keeper of one document's copies; nothing is read or written yet. */
export function createLastGood(options: LastGoodOptions): LastGood {
  return new Copies(options);
}

class Copies implements LastGood {
  readonly #options: LastGoodOptions;
  readonly #previous: string;
  #pending: Pending | undefined;
  #firstWaitsSince: number | undefined;
  #restsUntil = 0;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  /** Unknown until the newest generation was read or written: only a whole one may push out the one before. */
  #isNewestWhole: boolean | undefined;
  /** Ends what is on disk: the newest generation, which this process has written, and its journal. */
  #end: (JournalEnd & { readonly maxBytes: number }) | undefined;

  constructor(options: LastGoodOptions) {
    this.#options = options;
    this.#previous = `${options.path}.previous`;
  }

  async load(): Promise<LastGoodCopy | undefined> {
    const newest = await this.#read(this.#options.path);
    this.#isNewestWhole = newest !== undefined;
    const document = newest ?? (await this.#read(this.#previous));
    return document && this.#readOn(document);
  }

  save(revision: number, list: () => Iterable<Change>, update?: Update): Promise<void> {
    const waiting = this.#pending?.waiting ?? [];
    const before = this.#pending === undefined ? [] : this.#pending.updates;
    const isKnown = update !== undefined && !update.isReset && before !== undefined && before.length < MAX_WAITING;
    const updates = isKnown ? [...before, update] : undefined;
    const isShort = updates !== undefined && (this.#end !== undefined || this.#writing !== undefined);
    if (!isShort) {
      this.#pending = { revision, list, updates, waiting };
      this.#plan();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#pending = { revision, list, updates, waiting: [...waiting, resolve] };
      void this.flush();
    });
  }

  #plan(): void {
    const { quietMs = QUIET_MS, maxWaitMs = MAX_WAIT_MS } = this.#options;
    const now = performance.now();
    this.#firstWaitsSince ??= now;
    clearTimeout(this.#timer);
    const dueMs = Math.min(now + quietMs, this.#firstWaitsSince + maxWaitMs);
    this.#timer = setTimeout(() => void this.flush(), Math.max(dueMs, this.#restsUntil) - now);
  }

  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    while (this.#writing || this.#pending) {
      // One write at a time; what came while it ran is written after it.
      if (this.#writing) await this.#writing;
      else await this.#start();
    }
  }

  async #start(): Promise<void> {
    const pending = this.#pending;
    if (!pending) return;
    this.#pending = undefined;
    this.#firstWaitsSince = undefined;
    const startMs = performance.now();
    this.#writing = this.#write(pending);
    await this.#writing;
    this.#writing = undefined;
    const endMs = performance.now();
    this.#restsUntil = endMs + REST * (endMs - startMs);
    for (const tell of pending.waiting) tell();
  }

  async #write(pending: Pending): Promise<void> {
    const { path, log, onSaved } = this.#options;
    const { revision, updates } = pending;
    const end = this.#end;
    // Until it is known how this ends, nothing can be bound to what is on disk.
    this.#end = undefined;
    try {
      if (end !== undefined && updates !== undefined && end.bytes < end.maxBytes) {
        this.#end = { ...end, ...(await appendToJournal(journalOf(path), end, updates)) };
        if (end.bytes === 0) await syncFolder(dirname(path));
      } else this.#end = await this.#writeWhole(pending);
      onSaved?.(undefined, revision);
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      log.error('the last good configuration was not saved', { path, revision, error: error.message });
      // A full disk gets its room back.
      await rm(freshOf(path), { force: true }).catch(() => undefined);
      onSaved?.(error, revision);
    }
  }

  async #writeWhole({ revision, list }: Pending): Promise<JournalEnd & { readonly maxBytes: number }> {
    const { path } = this.#options;
    const { checksum, bytes } = await writeSnapshotFile(freshOf(path), revision, list());
    this.#isNewestWhole ??= (await this.#read(path)) !== undefined;
    // Between the renames only the previous generation is there, and that is enough; its journal is found under either name.
    if (this.#isNewestWhole) {
      await rename(path, this.#previous);
      await rename(journalOf(path), journalOf(this.#previous)).catch(() => undefined);
    }
    this.#isNewestWhole = false;
    await rename(freshOf(path), path);
    this.#isNewestWhole = true;
    await syncFolder(dirname(path));
    return { digest: checksum, bytes: 0, maxBytes: Math.max(MIN_JOURNAL_BYTES, JOURNAL_SHARE * bytes) };
  }

  async #read(path: string): Promise<SavedDocument | undefined> {
    try {
      return await readSnapshotFile(path);
    } catch (error) {
      const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const reason = error instanceof Error ? error.message : String(error);
      if (!isAbsent) this.#options.log.error('a saved configuration is not usable', { path, reason });
      return undefined;
    }
  }

  /** Gives the document with what changed after it was written. */
  async #readOn({ update, savedAtMs, checksum }: SavedDocument): Promise<LastGoodCopy> {
    let entries: readonly JournalEntry[] = [];
    for (const path of [this.#options.path, this.#previous]) {
      if (entries.length === 0) entries = await readJournal(journalOf(path), checksum);
    }
    const last = entries.at(-1);
    if (last === undefined) return { update, savedAtMs };
    let state = await inSlices(applyUpdate(EMPTY_DOCUMENT, update));
    for (const entry of entries) state = await inSlices(applyUpdate(state, { ...entry, isReset: false }));
    return {
      update: { revision: last.revision, isReset: true, changes: listChanges(state) },
      savedAtMs: last.savedAtMs,
    };
  }
}

function freshOf(path: string): string {
  return `${path}.tmp`;
}

function journalOf(path: string): string {
  return `${path}.changes`;
}
