// How many streams a client may break off before its connection is ended: rapid reset, CVE-2023-44487, and what makes the
// gateway itself reset them, CVE-2025-8671. Must not punish who cancels a request now and then.

/** Streams that may be broken off in a row. */
const MOST = 200;
/** And how many more each second. */
const PER_SECOND = 20;

/** Counts broken streams of one connection against whole ones and against time. */
export class ResetBudget {
  #left = MOST;
  #sinceMs = 0;

  /** Counts a stream that ended whole: who lets as many end as it breaks off is not attacking. */
  earn(): void {
    if (this.#left < MOST) this.#left++;
  }

  /** Counts a stream that was broken off; gives false when that was one too many. */
  spend(nowMs: number): boolean {
    const earned = ((nowMs - this.#sinceMs) * PER_SECOND) / 1_000;
    this.#left = Math.min(MOST, this.#left + earned) - 1;
    this.#sinceMs = nowMs;
    return this.#left >= 0;
  }
}
