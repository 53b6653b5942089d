// Which failures of hooks are time-outs, whoever's clock was first.
// Must not know sandboxes: a time-out of theirs is told by its name.

/** Says whether a hook failed because its sandbox cut it off at its time limit. */
export function isCutOff(error: unknown): boolean {
  return error instanceof Error && error.name === 'GuestTimeout';
}
