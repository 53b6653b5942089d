// A memory of keys and texts within so many bytes: what is oldest goes first.
// Must not outlive the process, nor know whose it is.
import type { Clock, MaybePromise } from '../plugin.ts';

/** Gives secrets that an operator keeps for a plugin. */
export interface Secrets {
  /** Gives a value, or undefined when the operator has set none. Only for names that the manifest lists. */
  get(name: string): string | undefined;
}

/**
 * Is a memory of the worker, for what a plugin can do without: what was set first goes first when it is full, and all of it with the
 * worker. Keys are the binding's own. Bounded by `permissions.kv` of a package, and by 1 MiB for every other plugin.
 */
export interface KeyValues {
  get(key: string): MaybePromise<string | undefined>;
  /** Forgets after `ttlMs`, if given. @throws RangeError when the value alone is more than the bound. */
  set(key: string, value: string, ttlMs?: number): MaybePromise<void>;
  delete(key: string): MaybePromise<void>;
}

/** Of plugins whose manifest was not asked: built-in ones, and those of a folder. */
const DEFAULT_BYTES: number = 1024 * 1024;

/** Gives none: who trusts a folder with code can put the values beside it. */
export const NO_SECRETS: Secrets = { get: () => undefined };

/** Makes a memory for one binding. */
export function buildKeyValues(clock: Clock, maxBytes: number = DEFAULT_BYTES): KeyValues {
  let memory: Memory | undefined;
  const open = (): Memory => {
    // Most plugins never ask.
    memory ??= createMemory(maxBytes);
    return memory;
  };
  return {
    get: (key) => memory?.get(key, clock.monotonicMs()),
    set: (key, value, ttlMs) => open().set(key, value, { nowMs: clock.monotonicMs(), ttlMs }),
    delete: (key) => memory?.delete(key),
  };
}

/** Counted per entry beside its text. */
const ENTRY_BYTES = 64;

/** Is a bounded memory. Times are monotonic milliseconds. */
export interface Memory {
  get(key: string, nowMs: number): string | undefined;
  /** @throws RangeError when the entry alone is too large. */
  set(key: string, value: string, time: { readonly nowMs: number; readonly ttlMs?: number | undefined }): void;
  delete(key: string): void;
}

interface Entry {
  readonly value: string;
  readonly bytes: number;
  readonly untilMs: number;
}

/** Makes a memory of at most `maxBytes`. */
export function createMemory(maxBytes: number): Memory {
  const entries = new Map<string, Entry>();
  let held = 0;
  const drop = (key: string): void => {
    held -= entries.get(key)?.bytes ?? 0;
    entries.delete(key);
  };
  return {
    get(key, nowMs) {
      const entry = entries.get(key);
      if (!entry) return undefined;
      if (nowMs < entry.untilMs) return entry.value;
      drop(key);
      return undefined;
    },
    set(key, value, { nowMs, ttlMs }) {
      // Engines keep text in one or two bytes a character; the larger is counted.
      const bytes = 2 * (key.length + value.length) + ENTRY_BYTES;
      if (bytes > maxBytes) throw new RangeError(`the value needs ${bytes} of ${maxBytes} bytes`);
      drop(key);
      for (const oldest of entries.keys()) {
        if (held + bytes <= maxBytes) break;
        drop(oldest);
      }
      entries.set(key, { value, bytes, untilMs: ttlMs === undefined ? Number.POSITIVE_INFINITY : nowMs + ttlMs });
      held += bytes;
    },
    delete: drop,
  };
}
