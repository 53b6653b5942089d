// Makes the next index from what is stored, and signs it.
// Must not list a version on the word of the database alone: its envelope proves the approval.
import type { KeyObject } from 'node:crypto';
import type { Logger } from '../../gateway/core/plugin.ts';
import { verifySignatures } from '../../gateway/package/dsse.ts';
import { readKeyEntries } from '../../gateway/package/keys.ts';
import { readStatement } from '../../gateway/package/statement.ts';
import {
  type IndexedVersion,
  openIndex,
  openRoot,
  type PluginIndex,
  type Root,
  signIndex,
} from '../../gateway/package/trust.ts';
import { AdminError } from '../errors.ts';
import type { Knex } from '../store/database.ts';
import { listPublishers } from '../store/marketplace/publishers.ts';
import { findIndex, findRoot, insertIndex } from '../store/marketplace/signed.ts';
import { type ListedVersion, listIndexedVersions } from '../store/marketplace/versions.ts';
import type { Authority } from './authority.ts';

const DAY_MS = 86_400_000;

/** How long an index holds; gateways alarm after that, and go on. */
const INDEX_VALID_MS = 30 * DAY_MS;

/** An index that is older is made anew. */
const INDEX_RENEWAL_MS = DAY_MS;

/** Is what making an index takes. */
export interface IndexMaking {
  readonly authority: Authority;
  readonly log: Logger;
  readonly nowMs: number;
}

/** Gives the key that signs. @throws SIGNING_UNAVAILABLE */
export function requireIndexKey({ indexKey }: Authority): KeyObject {
  if (indexKey !== undefined) return indexKey;
  throw new AdminError('SIGNING_UNAVAILABLE', 'This service holds no index key that its root names; its log says why.');
}

/**
 * Makes the next index. Its number is the time in seconds, or one more than the last: so a database that was restored from
 * a copy goes on with numbers that gateways have not seen.
 *
 * @throws SIGNING_UNAVAILABLE
 */
export async function makeIndex(transaction: Knex.Transaction, making: IndexMaking): Promise<PluginIndex> {
  const { authority, log, nowMs } = making;
  const key = requireIndexKey(authority);
  const root = await readTrustedRoot(transaction, authority);
  const before = await findIndex(transaction);
  const publishers = await listPublishers(transaction);
  const index: PluginIndex = {
    version: Math.max((before?.version ?? 0) + 1, Math.floor(nowMs / 1000)),
    issuedAt: new Date(nowMs).toISOString(),
    expires: new Date(nowMs + INDEX_VALID_MS).toISOString(),
    publishers: Object.fromEntries(
      publishers.map(({ namespace, level, keys }) => [
        namespace,
        { level, keys: keys.map(({ keyid, publicKey }) => ({ keyid, publicKey })) },
      ]),
    ),
    plugins: listPlugins(await listIndexedVersions(transaction), {
      root,
      revoked: before === undefined ? [] : listRevoked(before.envelope, root, making),
      log,
    }),
  };
  await insertIndex(transaction, index.version, signIndex(index, key));
  return index;
}

/** Makes the next index when there is none, or the newest is a day old. Gives whether it did. */
export async function renewIndex(transaction: Knex.Transaction, making: IndexMaking): Promise<boolean> {
  if (making.authority.indexKey === undefined) return false;
  const newest = await findIndex(transaction);
  if (newest !== undefined && making.nowMs - Date.parse(newest.madeAt) < INDEX_RENEWAL_MS) return false;
  await makeIndex(transaction, making);
  return true;
}

/** Reads the newest root, which must be signed by a root key that is pinned here. @throws SIGNING_UNAVAILABLE */
export async function readTrustedRoot(knex: Knex, { rootKeys }: Authority): Promise<Root> {
  const stored = await findRoot(knex);
  try {
    if (stored !== undefined) return openRoot(stored.envelope, rootKeys);
  } catch (cause) {
    throw new AdminError('SIGNING_UNAVAILABLE', 'The root in the database is not signed by the root trusted here.', {
      cause,
    });
  }
  throw new AdminError('SIGNING_UNAVAILABLE', 'There is no root yet.');
}

interface Proof {
  readonly root: Root;
  /** Revoked in the index before: who changes a row cannot take that back. */
  readonly revoked: readonly (readonly [plugin: string, version: string, entry: IndexedVersion])[];
  readonly log: Logger;
}

function listPlugins(rows: readonly ListedVersion[], { root, revoked, log }: Proof): PluginIndex['plugins'] {
  const indexKeys = readKeyEntries(root.indexKeys);
  const plugins = new Map<string, Map<string, IndexedVersion>>();
  const put = (plugin: string, version: string, entry: IndexedVersion): void => {
    const versions = plugins.get(plugin) ?? new Map<string, IndexedVersion>();
    plugins.set(plugin, versions.set(version, entry));
  };
  for (const row of rows) {
    const { plugin, version, sha256, state, advisory } = row;
    if (!isProven(row, indexKeys)) {
      log.error('a version in the database is not what was approved; it is left out of the index', { plugin, version });
      continue;
    }
    put(plugin, version, {
      sha256,
      state: state as IndexedVersion['state'],
      ...(advisory === null ? {} : { advisory }),
    });
  }
  for (const [plugin, version, entry] of revoked) {
    if (plugins.get(plugin)?.get(version)?.state === 'revoked') continue;
    log.error('the database no longer says that a version is revoked; it stays so', { plugin, version });
    put(plugin, version, entry);
  }
  return Object.fromEntries([...plugins].map(([plugin, versions]) => [plugin, Object.fromEntries(versions)]));
}

function isProven({ plugin, version, sha256, envelope }: ListedVersion, keys: ReadonlyMap<string, KeyObject>): boolean {
  try {
    const statement = readStatement(envelope);
    const isSame = statement.id === plugin && statement.version === version && statement.sha256 === sha256;
    return isSame && verifySignatures(envelope, keys).size > 0;
  } catch {
    return false;
  }
}

function listRevoked(
  envelope: Parameters<typeof openIndex>[0],
  root: Root,
  { log, nowMs }: IndexMaking,
): Proof['revoked'] {
  try {
    const { index } = openIndex(envelope, root, { minVersion: 0, nowMs });
    return Object.entries(index.plugins).flatMap(([plugin, versions]) =>
      Object.entries(versions).flatMap(([version, entry]) =>
        entry.state === 'revoked' ? [[plugin, version, entry] as const] : [],
      ),
    );
  } catch (error) {
    log.error('the index in the database is not signed by a key of the root', {
      reason: error instanceof Error ? error.message : String(error),
    });
    return [];
  }
}
