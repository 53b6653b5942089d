// Whose signatures on a package count, and which of an envelope are kept.
// Must not sign.
import { type Envelope, verifySignatures } from '../../gateway/package/dsse.ts';
import { type KeyEntry, readKeyEntries } from '../../gateway/package/keys.ts';
import type { Root } from '../../gateway/package/trust.ts';

/** Gives the keys that publish in a namespace: its own, but in those of the platform the ones that the root names. */
export function listPublisherKeys(namespace: string, own: readonly KeyEntry[], root: Root): readonly KeyEntry[] {
  return root.platformNamespaces.includes(namespace) ? root.platformKeys : own;
}

/** Most signatures that are kept: readers look at sixteen, and the marketplace adds its own. */
const MAX_KEPT = 8;

/**
 * Keeps the signatures by these keys, one each. Others are worth nothing, and enough of them would leave no room for the
 * marketplace's own: readers look at a bounded number.
 */
export function keepSignatures(envelope: Envelope, entries: readonly KeyEntry[]): Envelope {
  const keys = readKeyEntries(entries);
  const kept = new Map<string, Envelope['signatures'][number]>();
  for (const signature of envelope.signatures) {
    const [keyid] = verifySignatures({ ...envelope, signatures: [signature] }, keys);
    if (keyid !== undefined) kept.set(keyid, { keyid, sig: signature.sig });
  }
  return { ...envelope, signatures: [...kept.values()].slice(0, MAX_KEPT) };
}
