// Says when installs that did not load are worth another try.
// Must not go on for ever: a package that fails for a reason of its own fails each time.
import type { Problem } from '../../core/errors.ts';

/** Pauses before the tries; one after a busy start, the last for a machine that was out of memory for a while. */
const PAUSES_MS: readonly number[] = [5_000, 15_000, 60_000, 300_000];

/** What may end otherwise next time: the machine was busy, had no memory or processes left, or a set-up missed what it asks for. */
const PASSING: ReadonlySet<string> = new Set(['LOAD_TIMEOUT', 'LOAD_FAILED', 'FIXTURE_FAILED', 'SETUP_FAILED']);

/** Is what a worker says of an install. */
export interface LoadResult {
  readonly problem: Problem | null;
}

/** Asks for installs to be loaded again; a new revision begins the pauses anew. */
export class LoadRetries {
  readonly #onDue: () => void;
  readonly #pausesMs: readonly number[];
  #revision = -1;
  #tries = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(onDue: () => void, pausesMs: readonly number[] = PAUSES_MS) {
    this.#onDue = onDue;
    this.#pausesMs = pausesMs;
  }

  /** Takes what a worker came to in a revision. */
  note(revision: number, results: readonly LoadResult[]): void {
    if (revision !== this.#revision) this.close();
    this.#revision = revision;
    const pauseMs = this.#pausesMs[this.#tries];
    if (this.#timer || pauseMs === undefined) return;
    if (!results.some(({ problem }) => problem && PASSING.has(problem.code))) return;
    this.#tries++;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#onDue();
    }, pauseMs);
    this.#timer.unref();
  }

  /** Asks no more, until something new is noted. */
  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#tries = 0;
  }
}
