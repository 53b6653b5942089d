// Registers a namespace with the public key of its publisher, before its first package.
// Must not send anything of a key's file but the public key in it.
import { PackageError } from '../../gateway/package/errors.ts';
import { type KeyEntry, readPublicKey, toKeyEntry } from '../../gateway/package/keys.ts';
import { AdminRefusal, callAdmin } from '../admin-client.ts';
import { CommandError } from '../output.ts';
import type { Settings } from '../settings.ts';

/** Is what is to be registered. */
export interface Registration {
  readonly namespace: string;
  readonly key: KeyEntry;
  readonly isDryRun: boolean;
}

const PUBLISHERS = 'v1/marketplace/publishers';

/** Reads the public key in `text`, which `file` holds. @throws CommandError, exit code 2, when it is anything else */
export function readKeyToRegister(file: string, text: string): KeyEntry {
  try {
    return toKeyEntry(readPublicKey(text));
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    const form = 'the file FILE.pub that `sallyport plugin keygen` writes: one Ed25519 public key, PEM';
    throw new CommandError(`--register ${file}: ${error.message}. Expected ${form}; nothing was sent`, 2);
  }
}

/**
 * Registers the namespace, or in a dry run asks whether that would be done. Gives false when the namespace has this very key
 * already: whether the caller may publish there, the marketplace decides at each publication.
 * @throws AdminRefusal, CommandError when the namespace is taken with other keys
 */
export async function register(settings: Settings, { namespace, key, isDryRun }: Registration): Promise<boolean> {
  const text = JSON.stringify({ namespace, keys: [key.publicKey] });
  const path = isDryRun ? `${PUBLISHERS}?dryRun=true` : PUBLISHERS;
  try {
    await callAdmin(settings, { method: 'POST', path, body: { type: 'application/json', text } });
    return true;
  } catch (error) {
    if (!(error instanceof AdminRefusal) || error.answer.code !== 'CONFLICT') throw error;
    const keys = await findKeys(settings, namespace);
    // A conflict of another kind, such as a token that has its share of namespaces.
    if (keys === undefined) throw error;
    if (keys.some(({ keyid }) => keyid === key.keyid)) return false;
    throw new CommandError(
      `the namespace ${namespace} is taken, and not with the key of --register. If it is yours, leave --register out`,
    );
  }
}

/** Gives the keys of a namespace; undefined when nobody has it. */
async function findKeys(settings: Settings, namespace: string): Promise<readonly KeyEntry[] | undefined> {
  try {
    const answer = await callAdmin(settings, { method: 'GET', path: `${PUBLISHERS}/${namespace}` });
    return (JSON.parse(answer) as { readonly keys: readonly KeyEntry[] }).keys;
  } catch (error) {
    if (error instanceof AdminRefusal && error.answer.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}
