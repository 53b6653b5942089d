// Opens the private keys of certificates on their way to the workers; everything else keeps them sealed.
// Must not log or keep a key.
import type { Change, Update } from '../core/model.ts';

/** Says whether a private key is still sealed. */
export function isSealed(privateKey: string): boolean {
  return privateKey.startsWith('v1.');
}

/** Gives an update with open keys. One that does not open stays as it is: whoever loads it says so of its certificate. */
export function openKeys(update: Update, open: (sealed: string) => string): Update {
  if (!update.changes.some(({ kind }) => kind === 'certificate')) return update;
  return { ...update, changes: update.changes.map((change) => openKey(change, open)) };
}

function openKey(change: Change, open: (sealed: string) => string): Change {
  if (change.kind !== 'certificate' || !change.after) return change;
  try {
    return { ...change, after: { ...change.after, privateKey: open(change.after.privateKey) } };
  } catch {
    return change;
  }
}
