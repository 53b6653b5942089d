// Writes recorded requests, and takes away those that newer ones push out.
// Must not write what was not redacted: whoever recorded them has done that.
import type { RecordedRequest } from '../../core/shadow/recorded.ts';
import type { RunSql } from './document.ts';

/** Most requests that are kept of one api. */
export const MAX_RECORDED_PER_API = 1_000;

const INSERT = `
  INSERT INTO recorded_requests (api_id, recorded_at, request)
  SELECT r.api_id, to_timestamp(r.at_ms / 1000.0), r.request
  FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (api_id uuid, at_ms double precision, request jsonb))
    WITH ORDINALITY AS r (api_id, at_ms, request, position)
  JOIN apis ON apis.id = r.api_id ORDER BY r.position`;

const PRUNE = `
  DELETE FROM recorded_requests AS old USING unnest($1::uuid[]) AS api (id)
  WHERE old.api_id = api.id AND old.id <= (
    SELECT id FROM recorded_requests WHERE api_id = api.id ORDER BY id DESC OFFSET $2 LIMIT 1)`;

const PRUNE_OLD = "DELETE FROM recorded_requests WHERE recorded_at < now() - interval '1 day'";

/** Writes requests; of each api the newest stay. */
export async function writeRecorded(run: RunSql, requests: readonly RecordedRequest[]): Promise<void> {
  const rows = requests.map((request) => ({ api_id: request.api.id, at_ms: request.atMs, request }));
  await run(INSERT, [JSON.stringify(rows)]);
  await run(PRUNE, [[...new Set(requests.map(({ api }) => api.id))], MAX_RECORDED_PER_API]);
  await run(PRUNE_OLD);
}
