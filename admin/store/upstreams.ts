// Writes upstreams and their targets.
// Must not decide what is valid.
import type { Knex } from 'knex';
import type { Upstream } from '../../gateway/core/model.ts';
import { writeIds, writeRows } from './rows.ts';

const UPSERT_UPSTREAMS = `
  INSERT INTO upstreams (id, name, protocol, load_balancing, health_checks, tls, tags, created_at, updated_at)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, name text, protocol text, load_balancing text,
    health_checks jsonb, tls jsonb, tags text[], created_at timestamptz, updated_at timestamptz)
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, protocol = excluded.protocol,
    load_balancing = excluded.load_balancing, health_checks = excluded.health_checks, tls = excluded.tls,
    tags = excluded.tags, updated_at = excluded.updated_at`;

const INSERT_TARGETS = `
  INSERT INTO targets (upstream_id, position, host, port, weight)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (upstream_id uuid, position integer, host text, port integer, weight integer)`;

/** Deletes upstreams with their targets. */
export async function deleteUpstreams(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'DELETE FROM upstreams WHERE id = ANY (?::uuid[])', ids);
}

/** Frees the names of upstreams that are about to be deleted or renamed. */
export async function releaseUpstreamNames(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'UPDATE upstreams SET name = id::text WHERE id = ANY (?::uuid[])', ids);
}

/** Writes upstreams whole. */
export async function writeUpstreams(transaction: Knex.Transaction, upstreams: readonly Upstream[]): Promise<void> {
  const ids = upstreams.map((upstream) => upstream.id);
  await releaseUpstreamNames(transaction, ids);
  await writeRows(
    transaction,
    UPSERT_UPSTREAMS,
    upstreams.map((upstream) => ({
      id: upstream.id,
      name: upstream.name,
      protocol: upstream.protocol,
      load_balancing: upstream.loadBalancing,
      health_checks: upstream.healthChecks,
      tls: upstream.tls,
      tags: upstream.tags,
      created_at: upstream.createdAt,
      updated_at: upstream.updatedAt,
    })),
  );
  await writeIds(transaction, 'DELETE FROM targets WHERE upstream_id = ANY (?::uuid[])', ids);
  await writeRows(
    transaction,
    INSERT_TARGETS,
    upstreams.flatMap((upstream) =>
      upstream.targets.map(({ host, port, weight }, position) => ({
        upstream_id: upstream.id,
        position,
        host,
        port,
        weight,
      })),
    ),
  );
}
