// Writes apis and their routes.
// Must not decide what is valid.
import type { Knex } from 'knex';
import type { Api } from '../../gateway/core/model.ts';
import { writeIds, writeRows } from './rows.ts';

const UPSERT_APIS = `
  INSERT INTO apis (id, name, upstream_url, upstream_id, enabled, preserve_host, timeouts, retries, client_certificate,
    record_per_second, tags, created_at, updated_at)
  SELECT r.id, r.name, r.upstream_url, u.id, r.enabled, r.preserve_host, r.timeouts, r.retries, r.client_certificate,
    r.record_per_second, r.tags, r.created_at, r.updated_at
  FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, name text, upstream_url text, upstream_name text, enabled boolean,
    preserve_host boolean, timeouts jsonb, retries jsonb, client_certificate jsonb, record_per_second integer,
    tags text[], created_at timestamptz, updated_at timestamptz)
  LEFT JOIN upstreams u ON u.name = r.upstream_name
  ON CONFLICT (id) DO UPDATE SET name = excluded.name, upstream_url = excluded.upstream_url,
    upstream_id = excluded.upstream_id, enabled = excluded.enabled, preserve_host = excluded.preserve_host,
    timeouts = excluded.timeouts, retries = excluded.retries, client_certificate = excluded.client_certificate,
    record_per_second = excluded.record_per_second, tags = excluded.tags, updated_at = excluded.updated_at`;

const DELETE_LOST_ROUTES = `
  DELETE FROM routes USING jsonb_to_recordset(?::jsonb) AS r (id uuid, route_ids uuid[])
  WHERE routes.api_id = r.id AND NOT routes.id = ANY (r.route_ids)`;

const UPSERT_ROUTES = `
  INSERT INTO routes (id, api_id, position, name, hosts, paths, methods, headers, query, strip_path, timeouts)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, api_id uuid, position integer, name text, hosts text[],
    paths text[], methods text[], headers jsonb, query jsonb, strip_path boolean, timeouts jsonb)
  ON CONFLICT (id) DO UPDATE SET position = excluded.position, name = excluded.name, hosts = excluded.hosts,
    paths = excluded.paths, methods = excluded.methods, headers = excluded.headers, query = excluded.query,
    strip_path = excluded.strip_path, timeouts = excluded.timeouts`;

/** Deletes apis with their routes. */
export async function deleteApis(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'DELETE FROM apis WHERE id = ANY (?::uuid[])', ids);
}

/** Writes apis whole. Rows of routes are kept by id, because bindings refer to them. */
export async function writeApis(transaction: Knex.Transaction, apis: readonly Api[]): Promise<void> {
  const ids = apis.map((api) => api.id);
  const routes = apis.flatMap(toRouteRows);
  // Names are unique at every moment: clear the way first, so that two may swap theirs. One alone has nobody to swap with.
  if (ids.length > 1) await writeIds(transaction, 'UPDATE apis SET name = id::text WHERE id = ANY (?::uuid[])', ids);
  if (routes.length > 1)
    await writeIds(transaction, 'UPDATE routes SET name = NULL WHERE api_id = ANY (?::uuid[])', ids);
  await writeRows(transaction, UPSERT_APIS, apis.map(toRow));
  await writeRows(
    transaction,
    DELETE_LOST_ROUTES,
    apis.map((api) => ({ id: api.id, route_ids: api.routes.map((route) => route.id) })),
  );
  await writeRows(transaction, UPSERT_ROUTES, routes);
}

function toRow(api: Api): unknown {
  const { upstream } = api;
  return {
    id: api.id,
    name: api.name,
    upstream_url: typeof upstream === 'string' ? upstream : null,
    upstream_name: typeof upstream === 'string' ? null : upstream.name,
    enabled: api.enabled,
    preserve_host: api.preserveHost,
    timeouts: api.timeouts,
    retries: api.retries,
    client_certificate: api.clientCertificate ?? null,
    record_per_second: api.recordPerSecond ?? null,
    tags: api.tags,
    created_at: api.createdAt,
    updated_at: api.updatedAt,
  };
}

function toRouteRows(api: Api): unknown[] {
  return api.routes.map((route, position) => ({
    id: route.id,
    api_id: api.id,
    position,
    name: route.name ?? null,
    hosts: route.hosts,
    paths: route.paths,
    methods: route.methods,
    headers: route.headers,
    query: route.query,
    strip_path: route.stripPath,
    timeouts: route.timeouts ?? null,
  }));
}
