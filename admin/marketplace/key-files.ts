// The marketplace's keys in the data directory: root and index. Made at the first start, 0600.
// Must not send a private key anywhere, nor log one.
import type { KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  generateKeys,
  keyIdOf,
  readPrivateKey,
  readPublicKeys,
  writePrivateKey,
  writePublicKey,
} from '../../gateway/package/keys.ts';
import { createFile, replaceFile } from '../../gateway/sources/durable-file.ts';

const PRIVATE_FOLDER = 0o700;

/** Names the files. */
const KEY_FILES = {
  root: 'root.key',
  rootPublic: 'root.pub',
  rootEnvelope: 'root.json',
  index: 'index.key',
} as const;

/** Is what lies in the folder. */
export interface KeyFiles {
  /** Public root keys by id: what is trusted. */
  readonly rootKeys: ReadonlyMap<string, KeyObject>;
  /** Absent once it was taken away, as it should be. */
  readonly rootKey: KeyObject | undefined;
  /** Absent in a mirror, which signs nothing. */
  readonly indexKey: KeyObject | undefined;
}

/**
 * Reads the keys; makes what is missing, as long as it may. Nothing is made where only `root.pub` lies: that is a mirror of the
 * marketplace that holds the other half. Several processes at once all get the same keys.
 *
 * @throws PackageError KEY_INVALID naming no content, Error when `root.pub` is not the public half of `root.key`
 */
export async function readKeyFiles(folder: string, mayBegin: boolean): Promise<KeyFiles | undefined> {
  await mkdir(folder, { recursive: true, mode: PRIVATE_FOLDER });
  const path = (name: keyof typeof KEY_FILES): string => join(folder, KEY_FILES[name]);
  const isNew = (await readText(path('rootPublic'))) === undefined && (await readText(path('root'))) === undefined;
  if (isNew && !mayBegin) return undefined;
  if (isNew) await createFile(path('root'), writePrivateKey(generateKeys().privateKey));

  const rootKey = await readKey(path('root'));
  if (rootKey !== undefined) {
    await createFile(path('rootPublic'), writePublicKey(rootKey));
    // Whoever holds the root key may name a new index key; so a lost one is replaced by a start with the root key at hand.
    if ((await readText(path('index'))) === undefined) {
      await createFile(path('index'), writePrivateKey(generateKeys().privateKey));
    }
  }
  const rootKeys = readPublicKeys((await readText(path('rootPublic'))) ?? '');
  if (rootKey !== undefined && !rootKeys.has(keyIdOf(rootKey))) {
    throw new Error(`${path('rootPublic')} does not hold the public half of ${path('root')}: restore one of them`);
  }
  return { rootKeys, rootKey, indexKey: await readKey(path('index')) };
}

/** Reads the root envelope that lies in the folder, as text of JSON. */
export async function readRootFile(folder: string): Promise<string | undefined> {
  return await readText(join(folder, KEY_FILES.rootEnvelope));
}

/** Writes the root envelope into the folder. */
export async function writeRootFile(folder: string, envelope: unknown): Promise<void> {
  await replaceFile(join(folder, KEY_FILES.rootEnvelope), `${JSON.stringify(envelope)}\n`);
}

async function readKey(path: string): Promise<KeyObject | undefined> {
  const text = await readText(path);
  return text === undefined ? undefined : readPrivateKey(text);
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
