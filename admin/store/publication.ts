// Reads and moves the revision, and keeps the list of revisions.
// Must not know what a change means.
import type { Knex } from 'knex';
import type { EntityChange } from '../document/draft.ts';
import { WRITE_TIMEOUT_MS } from './database.ts';

/** Is one revision without its changes. */
export interface RevisionRow {
  readonly number: number;
  readonly createdAt: string;
  readonly actor: string;
  readonly summary: string;
  readonly changeCount: number;
}

/** Is a revision to be made. */
export interface NewRevision {
  readonly number: number;
  readonly actor: string;
  readonly summary: string;
  readonly changes: readonly EntityChange[];
}

/** Says which revision is current, and when the one asked about was made; null = there is no such revision. */
export interface Standing {
  readonly revision: number;
  readonly madeAt: string | null;
}

/** Reads the current revision, and the time of the revision `number`. */
export async function readStanding(knex: Knex, number: number): Promise<Standing> {
  const result = await knex.raw(
    'SELECT revision, (SELECT created_at::text FROM revisions WHERE number = ?) AS made_at FROM publication',
    [number],
  );
  const [row] = result.rows;
  return { revision: Number(row?.revision ?? 0), madeAt: row?.made_at ?? null };
}

/** Reads the current revision and holds off every other writer until the transaction ends. */
export async function lockRevision(transaction: Knex.Transaction): Promise<number> {
  // An admin that freezes inside its transaction must not hold the lock for ever.
  const results = await transaction
    .raw(
      `SET LOCAL idle_in_transaction_session_timeout = ${WRITE_TIMEOUT_MS};
       SET LOCAL lock_timeout = ${WRITE_TIMEOUT_MS - 1000};
       SELECT revision FROM publication FOR UPDATE`,
    )
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
  return Number(results.at(-1)?.rows[0]?.revision ?? 0);
}

const INSERT_REVISION = `
  WITH made AS (
    INSERT INTO revisions (number, actor, summary, changes) VALUES (?, ?, ?, ?::jsonb) RETURNING number
  ), moved AS (
    UPDATE publication SET revision = made.number FROM made RETURNING revision
  )
  SELECT pg_notify('sallyport_revision', revision::text) FROM moved`;

/** Makes a revision: its row, the new current number, and the notice that nodes hear at commit. */
export async function writeRevision(transaction: Knex.Transaction, revision: NewRevision): Promise<void> {
  const { number, actor, summary } = revision;
  await transaction
    .raw(INSERT_REVISION, [number, actor, summary, JSON.stringify(revision.changes)])
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
}

/** Lists revisions, newest first, from the one before `before` on. */
export async function listRevisions(knex: Knex, limit: number, before: number | undefined): Promise<RevisionRow[]> {
  const result = await knex.raw(
    `SELECT number, created_at, actor, summary, jsonb_array_length(changes) AS change_count
     FROM revisions WHERE number < ? ORDER BY number DESC LIMIT ?`,
    [before ?? Number.MAX_SAFE_INTEGER, limit],
  );
  return result.rows.map(toRevision);
}

/** Finds one revision with its changes. */
export async function findRevision(
  knex: Knex,
  number: number,
): Promise<(RevisionRow & { readonly changes: readonly EntityChange[] }) | undefined> {
  const result = await knex
    .raw('SELECT *, jsonb_array_length(changes) AS change_count FROM revisions WHERE number = ?', [number])
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
  const [row] = result.rows;
  return row === undefined ? undefined : { ...toRevision(row), changes: row.changes };
}

function toRevision(row: {
  readonly number: string;
  readonly created_at: Date;
  readonly actor: string;
  readonly summary: string;
  readonly change_count: number;
}): RevisionRow {
  return {
    number: Number(row.number),
    createdAt: row.created_at.toISOString(),
    actor: row.actor,
    summary: row.summary,
    changeCount: row.change_count,
  };
}
