// When isolates are off on a node: after one took its worker with it, for longer each time, also over restarts.
// Must not find out which package it was: in processes that shows by itself.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Clock, Logger } from '../../core/ports.ts';

/** How long isolates are off after the first crash; doubled with each further one. */
const FIRST_MS = 10 * 60_000;
/** Longest that they are off, and how much peace makes the crashes before forgotten. */
const LONGEST_MS = 24 * 3_600_000;
/** What ends a process whose V8 cannot go on, or that it has broken. */
const FATAL: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGABRT', 'SIGTRAP', 'SIGILL', 'SIGBUS']);
const PRIVATE = 0o600;

/** Is what a ban needs. */
export interface BanOptions {
  /** Where it is kept; absent = only in memory. */
  readonly path?: string;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly log: Logger;
  /** Calls once after so many milliseconds, until what it gives is called; default: a timer. */
  readonly schedule?: (callback: () => void, delayMs: number) => () => void;
}

/** Is a worker that has ended. */
export interface WorkerEnd {
  /** Isolates that it had open. */
  readonly openIsolates: number;
  readonly signal: string | null;
  /** Says that it was ended because nothing was heard of it: code that V8 cannot cut holds its worker. */
  readonly wasSilent: boolean;
}

interface Kept {
  readonly untilMs: number;
  readonly crashes: number;
}

const NONE: Kept = { untilMs: 0, crashes: 0 };

/** Says whether isolates are off. */
export class IsolateBan {
  readonly #options: BanOptions;
  readonly #listeners: (() => void)[] = [];
  #kept: Kept;
  #cancel: (() => void) | undefined;

  constructor(options: BanOptions) {
    this.#options = options;
    this.#kept = read(options.path);
    this.#wait();
  }

  get isOff(): boolean {
    return this.#kept.untilMs > this.#options.clock.wallMs();
  }

  /** Calls whenever the answer changes. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Turns isolates off when a worker ended as it does by an isolate. Workers that end meanwhile were on their way. */
  takeEnd({ openIsolates, signal, wasSilent }: WorkerEnd): void {
    if (openIsolates === 0 || this.isOff) return;
    if (!wasSilent && !FATAL.has(signal ?? '')) return;
    const { clock, log } = this.#options;
    const nowMs = clock.wallMs();
    const before = nowMs - this.#kept.untilMs > LONGEST_MS ? 0 : this.#kept.crashes;
    const offMs = Math.min(FIRST_MS * 2 ** before, LONGEST_MS);
    this.#kept = { untilMs: nowMs + offMs, crashes: before + 1 };
    log.error('a worker died with isolates open: isolates are off on this node, their packages run in processes', {
      signal,
      wasSilent,
      openIsolates,
      crashes: before + 1,
      untilMs: this.#kept.untilMs,
    });
    this.#save();
    this.#wait();
    this.#tell();
  }

  close(): void {
    this.#cancel?.();
  }

  #wait(): void {
    this.#cancel?.();
    if (!this.isOff) return;
    const { clock, log, schedule = startTimer } = this.#options;
    this.#cancel = schedule(() => {
      // A clock that was set back.
      if (this.isOff) return this.#wait();
      log.warn('isolates are on again on this node', { crashes: this.#kept.crashes });
      this.#tell();
    }, this.#kept.untilMs - clock.wallMs());
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #save(): void {
    const { path, log } = this.#options;
    if (path === undefined) return;
    try {
      writeFileSync(`${path}.new`, JSON.stringify(this.#kept), { mode: PRIVATE });
      renameSync(`${path}.new`, path);
    } catch (error) {
      log.warn('that isolates are off is not on disk: a restart turns them on', { error });
    }
  }
}

function startTimer(callback: () => void, delayMs: number): () => void {
  const timer = setTimeout(callback, delayMs).unref();
  return () => clearTimeout(timer);
}

/** Reads what was kept. What is not there, or not ours, is nothing; no more than the longest time is believed. */
function read(path: string | undefined): Kept {
  if (path === undefined) return NONE;
  try {
    const { untilMs, crashes } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Kept>;
    if (!Number.isSafeInteger(untilMs) || !Number.isSafeInteger(crashes)) return NONE;
    return { untilMs: Number(untilMs), crashes: Math.max(0, Number(crashes)) };
  } catch {
    return NONE;
  }
}
