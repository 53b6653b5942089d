// Who waits for a guest that was lost, and when it is made anew. The same for every kind of guest.
// Must not know how guests are made.
import type { Conversation } from './conversation.ts';

/** Waits before the second restart in a row, doubled each time. */
const BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 30_000;
/** A guest that lived so long has nothing to do with the losses before. */
const STEADY_MS = 60_000;

/** Is what restarts need. */
export interface RestartOptions {
  /** Makes a guest anew, and says so by `opened`. @throws Error when that fails */
  start(): Promise<void>;
  /** Hears why a guest could not be made. */
  onFailure(message: string): void;
}

/** Plans restarts, and keeps who waits for them. */
export class Restarts {
  readonly #options: RestartOptions;
  readonly #waiting: { resolve(conversation: Conversation): void; reject(error: Error): void }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #isClosed = false;

  constructor(options: RestartOptions) {
    this.#options = options;
  }

  /** Waits for a guest. @throws Error when none comes */
  wait(): Promise<Conversation> {
    if (this.#isClosed) return Promise.reject(new Error('the plugin is closed'));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      // Whoever waits holds up a revision, and did not cause the losses: the pause that they earned is not for him.
      if (this.#timer) this.#startAgain();
    });
  }

  /** Says that there is a guest. */
  opened(conversation: Conversation): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(conversation);
  }

  /** Makes a guest in place of one that began at `startedMs`: at once, or later by how many were lost before. */
  plan(startedMs: number): void {
    if (this.#isClosed) return;
    const { waitMs, failures } = nextWaitMs(this.#failures, performance.now() - startedMs);
    this.#failures = failures;
    this.#timer = setTimeout(() => this.#startAgain(), waitMs).unref();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const { reject } of this.#waiting.splice(0)) reject(new Error('the plugin is closed'));
  }

  #startAgain(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const startedMs = performance.now();
    this.#options.start().catch((error: Error) => {
      const message = `the plugin could not be started again: ${error.message}`;
      this.#options.onFailure(message);
      for (const { reject } of this.#waiting.splice(0)) reject(new Error(message, { cause: error }));
      this.plan(startedMs);
    });
  }
}

/** Gives the wait, and how many losses in a row this one makes. The first is not waited for. */
function nextWaitMs(failures: number, livedMs: number): { readonly waitMs: number; readonly failures: number } {
  const before = livedMs > STEADY_MS ? 0 : failures;
  const waitMs = before === 0 ? 0 : Math.min(BACKOFF_MS * 2 ** (before - 1), MAX_BACKOFF_MS);
  return { waitMs, failures: before + 1 };
}
