// What this service trusts and signs with: the root that its data directory pins, and the index key that the root names.
// Must not sign what was not checked: others do that first.
import type { KeyObject } from 'node:crypto';
import type { Logger } from '../../gateway/core/plugin.ts';
import { type Envelope, readEnvelope } from '../../gateway/package/dsse.ts';
import { keyIdOf, toKeyEntry } from '../../gateway/package/keys.ts';
import { openRoot, type Root, signRoot } from '../../gateway/package/trust.ts';
import type { Database, Knex } from '../store/database.ts';
import { lockMarketplace } from '../store/marketplace/lock.ts';
import { findRoot, insertRoot } from '../store/marketplace/signed.ts';
import { type KeyFiles, readKeyFiles, readRootFile, writeRootFile } from './key-files.ts';

const DAY_MS = 86_400_000;

/** How long a root holds. It is signed by hand or at a start, with a key that should lie in a safe. */
const ROOT_VALID_MS = 5 * 365 * DAY_MS;

/** A root that ends sooner is made anew at a start, if the root key is at hand. */
const ROOT_RENEWAL_MS = 365 * DAY_MS;

/** Lists the namespaces whose plugins gateways run in-process; no publisher gets them. */
export const PLATFORM_NAMESPACES: readonly string[] = ['sallyport'];

/** Is what a service may believe and sign. */
export interface Authority {
  /** Public root keys by id; empty when this service trusts nobody yet. */
  readonly rootKeys: ReadonlyMap<string, KeyObject>;
  /** Signs index and approvals; undefined in a mirror, and where the keys are missing or not the root's. */
  readonly indexKey: KeyObject | undefined;
}

/**
 * Reads or makes the keys, and sees to it that the database holds a root that names the index key.
 *
 * A service whose keys do not fit what is in the database starts all the same, signs nothing, and says why in the log:
 * the configuration of the gateway must not depend on the marketplace.
 */
export async function openAuthority(options: {
  readonly folder: string;
  readonly database: Database;
  readonly log: Logger;
  readonly nowMs: () => number;
}): Promise<Authority> {
  const { folder, database, log, nowMs } = options;
  return await database.transaction<Authority>(async (transaction) => {
    await lockMarketplace(transaction);
    const stored = await findRoot(transaction);
    const files = await readFiles(folder, stored === undefined, log);
    if (files === undefined) return { value: { rootKeys: new Map(), indexKey: undefined }, isKept: true };
    const inDatabase = stored && tryOpen(stored.envelope, files, log);
    if (stored !== undefined && inDatabase === undefined) {
      return { value: { rootKeys: files.rootKeys, indexKey: undefined }, isKept: true };
    }
    const known = newestOf([files.root, inDatabase]);
    const root = await putRoot({ transaction, folder, files, nowMs: nowMs() }, known, stored?.version ?? 0);
    return { value: { rootKeys: files.rootKeys, indexKey: checkIndexKey(files, root, log) }, isKept: true };
  });
}

interface SignedRoot {
  readonly root: Root;
  readonly envelope: Envelope;
}

interface Files extends KeyFiles {
  readonly root: SignedRoot | undefined;
}

async function readFiles(folder: string, mayBegin: boolean, log: Logger): Promise<Files | undefined> {
  try {
    const files = await readKeyFiles(folder, mayBegin);
    if (files !== undefined) return { ...files, root: await readFromFile(folder, files) };
    log.warn('the keys of the marketplace are not in this data directory; nothing is signed here', { folder });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error('the keys of the marketplace cannot be read; nothing is signed here', { folder, reason });
  }
  return undefined;
}

async function readFromFile(folder: string, { rootKeys }: KeyFiles): Promise<SignedRoot | undefined> {
  const text = await readRootFile(folder);
  if (text === undefined) return undefined;
  const envelope = readEnvelope(JSON.parse(text));
  return { envelope, root: openRoot(envelope, rootKeys) };
}

function tryOpen(envelope: Envelope, { rootKeys }: KeyFiles, log: Logger): SignedRoot | undefined {
  try {
    return { envelope, root: openRoot(envelope, rootKeys) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error('the root in the database is not signed by the root key of this data directory; nothing is signed here', {
      reason,
    });
    return undefined;
  }
}

function newestOf(roots: readonly (SignedRoot | undefined)[]): SignedRoot | undefined {
  return roots.reduce(
    (newest, one) => ((one?.root.version ?? 0) > (newest?.root.version ?? 0) ? one : newest),
    undefined,
  );
}

interface Making {
  readonly transaction: Knex.Transaction;
  readonly folder: string;
  readonly files: KeyFiles;
  readonly nowMs: number;
}

/** Makes the next root if one is needed and the root key is at hand; file and database then hold the newest. */
async function putRoot(
  { transaction, folder, files, nowMs }: Making,
  known: SignedRoot | undefined,
  storedVersion: number,
): Promise<Root | undefined> {
  const newest = needsRoot(known?.root, files, nowMs) ? buildRoot(known?.root, files, nowMs) : known;
  if (newest === undefined) return undefined;
  await writeRootFile(folder, newest.envelope);
  if (newest.root.version > storedVersion) await insertRoot(transaction, newest.root.version, newest.envelope);
  return newest.root;
}

function needsRoot(root: Root | undefined, { rootKeys, rootKey, indexKey }: KeyFiles, nowMs: number): boolean {
  // Of several root keys more than half must sign, which is done by hand.
  if (rootKey === undefined || indexKey === undefined || rootKeys.size > 1) return false;
  return root === undefined || !names(root, indexKey) || Date.parse(root.expires) - nowMs < ROOT_RENEWAL_MS;
}

function buildRoot(before: Root | undefined, { rootKey, indexKey }: KeyFiles, nowMs: number): SignedRoot | undefined {
  if (rootKey === undefined || indexKey === undefined) return undefined;
  const root: Root = {
    version: (before?.version ?? 0) + 1,
    expires: new Date(nowMs + ROOT_VALID_MS).toISOString(),
    // What a former index key approved stays approved.
    indexKeys: [...(before?.indexKeys ?? []).filter(({ keyid }) => keyid !== keyIdOf(indexKey)), toKeyEntry(indexKey)],
    platformNamespaces: before?.platformNamespaces ?? PLATFORM_NAMESPACES,
    platformKeys: before?.platformKeys ?? [],
  };
  return { root, envelope: signRoot(root, rootKey) };
}

function checkIndexKey({ indexKey }: KeyFiles, root: Root | undefined, log: Logger): KeyObject | undefined {
  if (indexKey === undefined) return undefined;
  if (root !== undefined && names(root, indexKey)) return indexKey;
  log.error('the root does not name the index key of this data directory; nothing is signed here', {
    keyid: keyIdOf(indexKey),
  });
  return undefined;
}

function names(root: Root, key: KeyObject): boolean {
  return root.indexKeys.some(({ keyid }) => keyid === keyIdOf(key));
}
