// The key that seals stored secrets: from the settings, or from the data directory.
// Must not seal or open anything.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readOrCreateSecret } from './data-dir.ts';
import { CommandError } from './output.ts';
import { parseKey } from './setting-parsers.ts';
import type { Settings } from './settings.ts';

type Sources = Pick<Settings, 'secretKey' | 'dataDir'>;

/** Gives the 32 bytes of the key; makes it in the data directory when there is none. @throws CommandError when a file holds no key */
export async function readSecretKey(settings: Sources): Promise<Uint8Array> {
  if (settings.secretKey !== undefined) return decode(settings.secretKey);
  return readKeyOfFile(secretKeyFile(settings), (await readOrCreateSecret(settings.dataDir, 'secret-key')).value);
}

/** Gives the key that is set or lies in the data directory; undefined when neither can be read. Makes none. @throws CommandError */
export async function findSecretKey(settings: Sources): Promise<Uint8Array | undefined> {
  if (settings.secretKey !== undefined) return decode(settings.secretKey);
  const path = secretKeyFile(settings);
  const text = (await readFile(path, 'utf8').catch(() => '')).trim();
  return text === '' ? undefined : readKeyOfFile(path, text);
}

/** Gives the path of the file that holds the key when no setting does. */
export function secretKeyFile({ dataDir }: Pick<Settings, 'dataDir'>): string {
  return join(dataDir, 'secret-key');
}

function readKeyOfFile(path: string, text: string): Uint8Array {
  try {
    return decode(parseKey(text));
  } catch (error) {
    const expected = error instanceof Error ? error.message : String(error);
    // Not its text: a damaged key is still most of one.
    throw new CommandError(`${path} is damaged: ${expected}; restore it, or set SALLYPORT_SECRET_KEY`);
  }
}

function decode(text: string): Uint8Array {
  return Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? 'hex' : 'base64url');
}
