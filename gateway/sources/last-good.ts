// Keeps the last good configuration on disk, so that a node can start without the control plane.
// Must not interpret what it keeps, and must never let a disk that fails hurt whoever asks it to write.
import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Change, Update } from '../core/model.ts';
import type { Logger } from '../core/plugin.ts';
import { syncFolder } from './durable-file.ts';
import { readSnapshotFile, writeSnapshotFile } from './snapshot-file.ts';

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

/** Keeps two generations of one document on disk. */
export interface LastGood {
  /** Reads the newest generation that is whole; undefined when there is none. Never rejects. */
  load(): Promise<LastGoodCopy | undefined>;
  /** Plans to write this state soon, instead of any that still waits. `list` is called, and walked slice by slice, as it is written. */
  save(revision: number, list: () => Iterable<Change>): void;
  /** Writes now what waits, and resolves when it is on disk or has failed. */
  flush(): Promise<void>;
}

const QUIET_MS = 500;
const MAX_WAIT_MS = 2_000;

/** After a write it rests so many times as long as that took: a big document that changes all the time is not always being written. */
const REST = 10;

interface Pending {
  readonly revision: number;
  readonly list: () => Iterable<Change>;
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

  constructor(options: LastGoodOptions) {
    this.#options = options;
    this.#previous = `${options.path}.previous`;
  }

  async load(): Promise<LastGoodCopy | undefined> {
    const newest = await this.#read(this.#options.path);
    this.#isNewestWhole = newest !== undefined;
    return newest ?? (await this.#read(this.#previous));
  }

  save(revision: number, list: () => Iterable<Change>): void {
    const { quietMs = QUIET_MS, maxWaitMs = MAX_WAIT_MS } = this.#options;
    this.#pending = { revision, list };
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
  }

  async #write({ revision, list }: Pending): Promise<void> {
    const { path, log, onSaved } = this.#options;
    const fresh = `${path}.tmp`;
    try {
      await writeSnapshotFile(fresh, revision, list());
      if (this.#isNewestWhole === undefined) await this.load();
      // Between the two renames only the previous generation is there, and that is enough.
      if (this.#isNewestWhole) await rename(path, this.#previous);
      this.#isNewestWhole = false;
      await rename(fresh, path);
      this.#isNewestWhole = true;
      await syncFolder(dirname(path));
      onSaved?.(undefined, revision);
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      log.error('the last good configuration was not saved', { path, revision, error: error.message });
      // A full disk gets its room back.
      await rm(fresh, { force: true }).catch(() => undefined);
      onSaved?.(error, revision);
    }
  }

  async #read(path: string): Promise<LastGoodCopy | undefined> {
    try {
      return await readSnapshotFile(path);
    } catch (error) {
      const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT';
      const reason = error instanceof Error ? error.message : String(error);
      if (!isAbsent) this.#options.log.error('a saved configuration is not usable', { path, reason });
      return undefined;
    }
  }
}
