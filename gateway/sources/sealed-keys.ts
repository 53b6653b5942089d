// Opens the private keys of certificates and the secrets of installs on their way to the workers; everything else keeps them sealed.
// Must not log or keep what it opens.
import type { Change, Update } from '../core/model.ts';

/** Says whether a private key or another secret is still sealed. */
export function isSealed(secret: string): boolean {
  return secret.startsWith('v1.');
}

/** Gives an update with open secrets. One that does not open stays as it is: whoever uses it says so. */
export function openKeys(update: Update, open: (sealed: string) => string): Update {
  if (!update.changes.some(({ kind }) => kind === 'certificate' || kind === 'install')) return update;
  const tryOpen = (sealed: string): string => {
    try {
      return open(sealed);
    } catch {
      return sealed;
    }
  };
  return { ...update, changes: update.changes.map((change) => openChange(change, tryOpen)) };
}

function openChange(change: Change, open: (sealed: string) => string): Change {
  if (change.kind === 'certificate' && change.after) {
    return { ...change, after: { ...change.after, privateKey: open(change.after.privateKey) } };
  }
  if (change.kind === 'install' && change.after) {
    const secrets = Object.entries(change.after.secrets).map(([name, sealed]) => [name, open(sealed)]);
    return { ...change, after: { ...change.after, secrets: Object.fromEntries(secrets) } };
  }
  return change;
}
