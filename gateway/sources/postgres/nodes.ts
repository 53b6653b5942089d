// Writes the row by which a node says how it is, and takes it away when the node ends.
// Must not read other nodes' rows.
import type { Problem } from '../../core/errors.ts';
import type { InstallReport } from '../../core/setup/runs.ts';
import type { RunSql } from './document.ts';

/** Is what a node says about itself; the time it was seen is the server's. */
export interface NodeRow {
  /** UUID, the same over restarts. */
  readonly id: string;
  readonly name: string;
  readonly mode: string;
  readonly version: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** The revision it runs. */
  readonly revision: number;
  /** The newest revision it was offered. */
  readonly offeredRevision: number;
  /** Why it does not run the offered one; null when it does. */
  readonly refusal: { readonly revision: number; readonly problems: readonly Problem[]; readonly at: string } | null;
  readonly workers: readonly { readonly pid: number; readonly revision: number }[];
  readonly health: Readonly<Record<string, unknown>>;
  /** What runs of each install. */
  readonly plugins: readonly InstallReport[];
}

const UPSERT = `
  WITH written AS (
    INSERT INTO nodes (id, name, mode, version, started_at, last_seen_at, revision, offered_revision, refusal, workers, health,
      plugins)
    SELECT r.id, r.name, r.mode, r.version, r.started_at, now(), r.revision, r.offered_revision, r.refusal, r.workers, r.health,
      r.plugins
    FROM jsonb_to_record($1::jsonb) AS r (id uuid, name text, mode text, version text, started_at timestamptz,
      revision bigint, offered_revision bigint, refusal jsonb, workers jsonb, health jsonb, plugins jsonb)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, mode = excluded.mode, version = excluded.version,
      started_at = excluded.started_at, last_seen_at = excluded.last_seen_at, revision = excluded.revision,
      offered_revision = excluded.offered_revision, refusal = excluded.refusal, workers = excluded.workers,
      health = excluded.health, plugins = excluded.plugins
    RETURNING id
  )
  SELECT pg_notify('sallyport_nodes', id::text) FROM written`;

/** Writes the row and tells who listens. */
export async function writeNode(run: RunSql, row: NodeRow): Promise<void> {
  const { startedAt, offeredRevision, ...rest } = row;
  await run(UPSERT, [JSON.stringify({ ...rest, started_at: startedAt, offered_revision: offeredRevision })]);
}

/** Takes the row away and tells who listens: nobody need wait for this node any more. */
export async function removeNode(run: RunSql, id: string): Promise<void> {
  await run(
    "WITH gone AS (DELETE FROM nodes WHERE id = $1 RETURNING id) SELECT pg_notify('sallyport_nodes', id::text) FROM gone",
    [id],
  );
}
