// A file that lines are appended to: gathered, written whole, bounded in memory, back by itself after a disk failed.
// Must never hold up whoever writes a line, nor write a part of one.
import { constants, type FileHandle, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Clock, Logger } from 'sallyport/plugin';
import { PendingLines } from './pending-lines.ts';

/** A line waits at most this long, so that `tail -f` shows what happens now. */
const FLUSH_MS = 250;

/** Most that is kept while the disk does not take it, per file and worker; lines beyond are dropped and counted. */
export const MAX_PENDING_BYTES: number = 8 * 1024 * 1024;

/** Pause before a failed disk is tried again. */
const RETRY_MS = 1_000;

// O_APPEND: each write goes to the end as one, so that several workers can share a file. O_NONBLOCK: a pipe that nobody
// reads must not hold a thread.
const FLAGS = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;
const MODE = 0o640;

const LINE_FEED = 0x0a;

/** Describes a line file. */
export interface LineFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Appends lines to a file. */
export class LineFile {
  readonly #options: LineFileOptions;
  #handle: FileHandle;
  readonly #pending = new PendingLines();
  #dropped = 0;
  /** Bytes that a full disk did not take; they begin with a whole line. */
  #rest: Buffer | undefined;
  #isFailing = false;
  #isReopenAsked = false;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: LineFileOptions, handle: FileHandle) {
    this.#options = options;
    this.#handle = handle;
  }

  /** Lines lost since the start of the outage, not yet told in the file. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line with its line feed. */
  append(line: string): void {
    if (this.#pending.bytes + line.length > MAX_PENDING_BYTES) {
      this.#dropped += 1;
      return;
    }
    this.#pending.add(line);
    // Whole chunks are written at once.
    if (this.#pending.hasFull && !this.#isFailing) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#isFailing ? RETRY_MS : FLUSH_MS).unref();
  }

  /** Opens the path anew before the next write: a log rotation has moved the file away. */
  reopen(): void {
    this.#isReopenAsked = true;
    this.#start();
  }

  /** Writes what is pending and closes; once. What a broken disk does not take then is lost. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#flushing;
    do await this.#flush();
    while (this.#pending.bytes > 0 && !this.#isFailing);
    await this.#handle.close().catch(() => undefined);
  }

  #start(): void {
    // From `close` on nothing else may write, or open the file again.
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
      if (this.#isClosed || (this.#pending.bytes === 0 && !this.#rest && !this.#isReopenAsked)) return;
      this.#timer ??= setTimeout(() => this.#start(), this.#isFailing ? RETRY_MS : FLUSH_MS).unref();
    });
  }

  async #flush(): Promise<void> {
    try {
      if (this.#isReopenAsked || this.#isFailing) await this.#openAgain();
      do await this.#writeNext();
      while (this.#pending.hasFull);
    } catch (error) {
      this.#noteFailure(error);
    }
  }

  async #writeNext(): Promise<void> {
    const bytes = this.#rest ?? this.#next();
    if (!bytes) return;
    this.#rest = bytes;
    const { bytesWritten } = await this.#handle.write(bytes);
    if (bytesWritten < bytes.length) {
      this.#rest = restOf(bytes, bytesWritten);
      throw new Error(`only ${bytesWritten} of ${bytes.length} bytes fit`);
    }
    this.#rest = undefined;
    this.#noteSuccess();
  }

  /** Gives what to write next: that lines were lost comes before those that came after the loss. */
  #next(): Buffer | undefined {
    if (this.#dropped === 0) return this.#pending.take();
    const told = Buffer.from(this.#writeDropped());
    this.#dropped = 0;
    return told;
  }

  #writeDropped(): string {
    const time = new Date(this.#options.clock.wallMs()).toISOString();
    return `${JSON.stringify({ time, dropped: this.#dropped })}\n`;
  }

  async #openAgain(): Promise<void> {
    // While the path cannot be opened, lines wait: the old file may be one that a rotation has moved away.
    const handle = await openLog(this.#options.path);
    this.#isReopenAsked = false;
    await this.#handle.close().catch(() => undefined);
    this.#handle = handle;
  }

  #noteFailure(error: unknown): void {
    // Said once for an outage: a log about a full disk must not fill another.
    if (!this.#isFailing) this.#options.log.error('the log file takes no lines', { path: this.#options.path, error });
    this.#isFailing = true;
  }

  #noteSuccess(): void {
    if (this.#isFailing) this.#options.log.info('the log file takes lines again', { path: this.#options.path });
    this.#isFailing = false;
  }
}

/** Opens a log file. @throws Error that says what is wrong with the path. */
export async function openLineFile(options: LineFileOptions): Promise<LineFile> {
  return new LineFile(options, await openLog(options.path));
}

async function openLog(path: string): Promise<FileHandle> {
  try {
    if ((await stat(path).catch(() => undefined))?.isDirectory()) throw new Error('it is a directory');
    return await open(path, FLAGS, MODE);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? `there is no directory ${dirname(path)}` : message;
    throw new Error(`cannot write the log file ${path}: ${reason}`, { cause });
  }
}

/** Gives what to write after a write that stopped midway: the broken line whole again, on a line of its own. */
function restOf(bytes: Buffer, written: number): Buffer {
  const start = written === 0 ? 0 : bytes.lastIndexOf(LINE_FEED, written - 1) + 1;
  const rest = bytes.subarray(start);
  return start === written ? rest : Buffer.concat([Buffer.from('\n'), rest]);
}
