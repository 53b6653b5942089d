// Keeps the signed root and index, and from where what was imported.
// Must not sign or judge them.
import type { Knex } from 'knex';
import type { Envelope } from '../../../gateway/package/dsse.ts';

/** Most index versions that are kept; each replaces the one before. */
const KEPT_INDEXES = 100;

/** Is one signed version of the root or of the index. */
export interface Signed {
  readonly version: number;
  readonly envelope: Envelope;
  readonly madeAt: string;
}

/** Finds the newest root. */
export async function findRoot(knex: Knex): Promise<Signed | undefined> {
  return toSigned(await knex('marketplace_root').select('*').orderBy('version', 'desc').limit(1));
}

/** Finds the newest index. */
export async function findIndex(knex: Knex): Promise<Signed | undefined> {
  return toSigned(await knex('marketplace_index').select('*').orderBy('version', 'desc').limit(1));
}

/** Keeps a root. */
export async function insertRoot(transaction: Knex.Transaction, version: number, envelope: Envelope): Promise<void> {
  await transaction('marketplace_root').insert({ version, envelope: JSON.stringify(envelope) });
}

/** Keeps an index, and forgets those long replaced. */
export async function insertIndex(transaction: Knex.Transaction, version: number, envelope: Envelope): Promise<void> {
  await transaction('marketplace_index').insert({ version, envelope: JSON.stringify(envelope) });
  await transaction.raw(
    `DELETE FROM marketplace_index WHERE version < (
       SELECT min(version) FROM (SELECT version FROM marketplace_index ORDER BY version DESC LIMIT ?) newest)`,
    [KEPT_INDEXES],
  );
}

/** Says which root and index of another marketplace were imported last. */
export interface Origin {
  readonly rootVersion: number;
  readonly indexVersion: number;
}

/** Finds what was imported last under a root. */
export async function findOrigin(knex: Knex, rootKeyid: string): Promise<Origin | undefined> {
  const [row] = await knex('marketplace_origins').select('*').where({ root_keyid: rootKeyid });
  return row === undefined
    ? undefined
    : { rootVersion: Number(row.root_version), indexVersion: Number(row.index_version) };
}

/** Writes down what was imported under a root. */
export async function writeOrigin(transaction: Knex.Transaction, rootKeyid: string, origin: Origin): Promise<void> {
  await transaction('marketplace_origins')
    .insert({ root_keyid: rootKeyid, root_version: origin.rootVersion, index_version: origin.indexVersion })
    .onConflict('root_keyid')
    .merge();
}

function toSigned(
  rows: readonly { readonly version: string; readonly envelope: Envelope; readonly made_at: Date }[],
): Signed | undefined {
  const [row] = rows;
  return row === undefined
    ? undefined
    : { version: Number(row.version), envelope: row.envelope, madeAt: row.made_at.toISOString() };
}
