// Opens root and index with the root keys that this machine pins.
// Must not take a key from the control plane: who has only the database must not be able to run code.
import { readFile } from 'node:fs/promises';
import { PackageError } from '../../package/errors.ts';
import { readPublicKeys } from '../../package/keys.ts';
import { openIndex, openRoot, type TrustedIndex } from '../../package/trust.ts';
import type { SeenVersions, TrustFile } from './folder.ts';

/** Is what is trusted now, and what was seen with it. */
export interface OpenedTrust {
  readonly index: TrustedIndex;
  readonly isExpired: boolean;
  readonly seen: SeenVersions;
}

/** Says what to open and against what. */
export interface TrustOptions {
  /** File of the pinned root keys, PEM. */
  readonly rootFile: string;
  readonly seen: SeenVersions | undefined;
  readonly nowMs: number;
}

/** Opens root and index. @throws PackageError ROOT_*, INDEX_*, KEY_INVALID */
export async function openTrust(trust: TrustFile, { rootFile, seen, nowMs }: TrustOptions): Promise<OpenedTrust> {
  const keys = readPublicKeys(await readRootFile(rootFile));
  const rootKeys = [...keys.keys()].sort();
  const isSameHistory = seen !== undefined && seen.rootKeys.join() === rootKeys.join();
  const least = isSameHistory ? seen : { root: 0, index: 0 };
  const root = openRoot(trust.root, keys, { minVersion: least.root });
  const { index, isExpired } = openIndex(trust.index, root, { minVersion: least.index, nowMs });
  return { index, isExpired, seen: { rootKeys, root: root.version, index: index.version } };
}

async function readRootFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new PackageError('ROOT_UNTRUSTED', `this node pins no root key: ${path} cannot be read (${reason})`, {
      cause,
    });
  }
}
