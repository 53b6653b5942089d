// Which signatures of an envelope are kept.
// Must not sign.
import { type Envelope, verifySignatures } from '../../gateway/package/dsse.ts';
import { type KeyEntry, readKeyEntries } from '../../gateway/package/keys.ts';

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
  return { ...envelope, signatures: [...kept.values()] };
}
