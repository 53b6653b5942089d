// Reads and deletes requests that nodes recorded.
// Must not write them: nodes do.
import type { Knex } from 'knex';
import type { RecordedRequest } from '../../../gateway/core/shadow/recorded.ts';

/** Requests older than this are not shown, and deleted soon. */
const MAX_AGE = "interval '1 day'";

/** Lists the newest requests of an api, the newest first. */
export async function listRecorded(knex: Knex, apiId: string, limit: number): Promise<readonly RecordedRequest[]> {
  const result = await knex.raw(
    `SELECT request FROM recorded_requests WHERE api_id = ? AND recorded_at > now() - ${MAX_AGE} ORDER BY id DESC LIMIT ?`,
    [apiId, limit],
  );
  const rows: readonly { readonly request: RecordedRequest }[] = result.rows;
  return rows.map(({ request }) => request);
}

/** Deletes what is kept of an api; gives how many requests that were. */
export async function deleteRecorded(knex: Knex, apiId: string): Promise<number> {
  const { rowCount } = await knex.raw('DELETE FROM recorded_requests WHERE api_id = ?', [apiId]);
  return rowCount;
}

/** Deletes what is too old, of every api. */
export async function deleteAged(knex: Knex): Promise<void> {
  await knex.raw(`DELETE FROM recorded_requests WHERE recorded_at < now() - ${MAX_AGE}`);
}
