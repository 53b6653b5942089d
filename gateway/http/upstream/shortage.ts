// Failures to connect that are our own.
// Must not list what a target can cause.

// What this machine has run out of says nothing about the target.
const SHORTAGES: ReadonlySet<unknown> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EAGAIN']);

/** Says whether connecting failed because this machine has no files, ports or memory left. */
export function isShortage(error: NodeJS.ErrnoException): boolean {
  return SHORTAGES.has(error.code);
}
