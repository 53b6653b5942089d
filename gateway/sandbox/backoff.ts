// How long to wait before a guest that was lost is made anew.
// Must not wait by itself.

/** Waits before the second restart in a row, doubled each time. */
const BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 30_000;
/** A guest that lived so long has nothing to do with the losses before. */
const STEADY_MS = 60_000;

/** Gives the wait, and how many losses in a row this one makes. The first is not waited for. */
export function nextWaitMs(failures: number, livedMs: number): { readonly waitMs: number; readonly failures: number } {
  const before = livedMs > STEADY_MS ? 0 : failures;
  const waitMs = before === 0 ? 0 : Math.min(BACKOFF_MS * 2 ** (before - 1), MAX_BACKOFF_MS);
  return { waitMs, failures: before + 1 };
}
