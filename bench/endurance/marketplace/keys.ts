// Makes the keys of a marketplace before its first start, so that the harness can also sign as the platform does.
// Must not be used where anything is to be kept safe.
import { createPublicKey } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  generateKeys,
  type KeyPair,
  keyIdOf,
  readPrivateKey,
  toKeyEntry,
  writePrivateKey,
  writePublicKey,
} from '../../../gateway/package/keys.ts';
import { signRoot } from '../../../gateway/package/trust.ts';

const EXPIRES = '2099-01-01T00:00:00Z';

/** Is the namespace whose packages run in the worker itself. */
export const PLATFORM = 'sallyport';

/** Is the file of the platform's key, which is none of the gateway's. */
const PLATFORM_FILE = 'platform.key';

/** Writes the keys into the data directory of an instance that has not been started yet, and that of the platform beside it. */
export function writeMarketplaceKeys(directory: string): void {
  const folder = join(directory, 'data', 'marketplace');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const [root, index, platform] = [generateKeys(), generateKeys(), generateKeys()];
  const signed = signRoot(
    {
      version: 1,
      expires: EXPIRES,
      indexKeys: [toKeyEntry(index.publicKey)],
      platformNamespaces: [PLATFORM],
      platformKeys: [toKeyEntry(platform.publicKey)],
    },
    root.privateKey,
  );
  const files = {
    'root.key': writePrivateKey(root.privateKey),
    'root.pub': writePublicKey(root.publicKey),
    'root.json': `${JSON.stringify(signed)}\n`,
    'index.key': writePrivateKey(index.privateKey),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
  writeFileSync(join(directory, PLATFORM_FILE), writePrivateKey(platform.privateKey), { mode: 0o600 });
}

/** Reads the keys of the platform that were written for this directory. */
export function readPlatformKeys(directory: string): KeyPair {
  const privateKey = readPrivateKey(readFileSync(join(directory, PLATFORM_FILE), 'utf8'));
  return { keyid: keyIdOf(privateKey), publicKey: createPublicKey(privateKey), privateKey };
}
