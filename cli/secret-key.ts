// The key that seals stored secrets: from the settings, or from the data directory.
// Must not seal or open anything.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readOrCreateSecret } from './data-dir.ts';
import type { Settings } from './settings.ts';

/** Gives the 32 bytes of the key; makes it in the data directory when there is none. */
export async function readSecretKey(settings: Pick<Settings, 'secretKey' | 'dataDir'>): Promise<Uint8Array> {
  return decode(settings.secretKey ?? (await readOrCreateSecret(settings.dataDir, 'secret-key')).value);
}

/** Gives the key that is set or lies in the data directory; undefined when there is neither. Makes none. */
export async function findSecretKey(
  settings: Pick<Settings, 'secretKey' | 'dataDir'>,
): Promise<Uint8Array | undefined> {
  const text = settings.secretKey ?? (await readFile(join(settings.dataDir, 'secret-key'), 'utf8').catch(() => ''));
  return text.trim() === '' ? undefined : decode(text.trim());
}

function decode(text: string): Uint8Array {
  return Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64url');
}
