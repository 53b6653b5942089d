// The key that seals stored secrets: from the settings, or from the data directory.
// Must not seal or open anything.
import { readOrCreateSecret } from './data-dir.ts';
import type { Settings } from './settings.ts';

/** Gives the 32 bytes of the key; makes it in the data directory when there is none. */
export async function readSecretKey(settings: Pick<Settings, 'secretKey' | 'dataDir'>): Promise<Uint8Array> {
  const text = settings.secretKey ?? (await readOrCreateSecret(settings.dataDir, 'secret-key')).value;
  return Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64url');
}
