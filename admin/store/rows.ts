// Writes many rows in few statements: rows travel as one JSON parameter per statement.
// Must not know a table.
import type { Knex } from 'knex';
import { WRITE_TIMEOUT_MS } from './database.ts';

/** Most rows of one statement; keeps each below the statement's time bound and the event loop free between two. */
const ROWS_PER_STATEMENT = 500;

/**
 * Runs `sql` over the rows in batches. The statement reads them with `jsonb_to_recordset(?::jsonb)`.
 */
export async function writeRows(transaction: Knex.Transaction, sql: string, rows: readonly unknown[]): Promise<void> {
  for (let start = 0; start < rows.length; start += ROWS_PER_STATEMENT) {
    const batch = JSON.stringify(rows.slice(start, start + ROWS_PER_STATEMENT));
    await transaction.raw(sql, [batch]).options({ timeoutMs: WRITE_TIMEOUT_MS });
  }
}

/** Runs `sql` over the ids in batches. The statement reads them as `ANY (?::uuid[])`. */
export async function writeIds(transaction: Knex.Transaction, sql: string, ids: readonly string[]): Promise<void> {
  for (let start = 0; start < ids.length; start += ROWS_PER_STATEMENT) {
    await transaction.raw(sql, [ids.slice(start, start + ROWS_PER_STATEMENT)]).options({ timeoutMs: WRITE_TIMEOUT_MS });
  }
}
