// Writes revisions into a test database as the control plane would, without it.
// Must not check anything.
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import type {
  Api,
  Binding,
  Certificate,
  Change,
  Consumer,
  Credential,
  EntityKind,
  EntityOf,
  Install,
  Upstream,
} from '../../../gateway/core/model.ts';

const TIME = '2026-01-02T03:04:05.678Z';
const COMMON = { tags: [], createdAt: TIME, updatedAt: TIME };

/** Makes an api whose upstream is a URL. */
export function makeApi(name: string, changes: Partial<Api> = {}): Api {
  const route = { hosts: [], paths: [`/${name}`], methods: [], headers: {}, query: {}, stripPath: true };
  return {
    id: randomUUID(),
    name,
    upstream: 'http://127.0.0.1:9',
    routes: [{ id: randomUUID(), name: 'main', ...route }],
    enabled: true,
    preserveHost: false,
    timeouts: { connectMs: 2_000, responseMs: 10_000, idleMs: 10_000 },
    retries: { attempts: 1 },
    ...COMMON,
    ...changes,
  };
}

/** Makes an upstream of one target. */
export function makeUpstream(name: string): Upstream {
  return {
    id: randomUUID(),
    name,
    protocol: 'http',
    targets: [
      { host: 'b.test', port: 2, weight: 1 },
      { host: 'a.test', port: 1, weight: 100 },
    ],
    loadBalancing: 'round-robin',
    healthChecks: { passive: { failures: 5, ejectMs: 10_000 } },
    tls: { verify: true },
    ...COMMON,
  };
}

/** Makes a consumer. */
export function makeConsumer(username: string, changes: Partial<Consumer> = {}): Consumer {
  return { id: randomUUID(), username, groups: [], ...COMMON, ...changes };
}

/** Makes a credential of a consumer. */
export function makeCredential(consumer: Consumer, lookup: string, changes: Partial<Credential> = {}): Credential {
  return { id: randomUUID(), consumerId: consumer.id, type: 'key-auth', lookup, data: {}, ...COMMON, ...changes };
}

/** Makes a global binding. */
export function makeBinding(plugin: string, changes: Partial<Binding> = {}): Binding {
  return {
    id: randomUUID(),
    plugin,
    scope: {},
    config: {},
    enabled: true,
    order: 0,
    effect: 'apply',
    mandatory: false,
    ...COMMON,
    ...changes,
  };
}

/** Gives an entity as a change that writes it. */
export function write<Kind extends EntityKind>(kind: Kind, after: EntityOf[Kind]): Change {
  return { kind, id: after.id, after } as unknown as Change;
}

/** Gives an entity as a change that removes it. */
export function remove(kind: EntityKind, entity: { readonly id: string }): Change {
  return { kind, id: entity.id };
}

/** Writes the changes as one revision, and notifies unless told not to. Gives the revision's number. */
export async function publish(
  databaseUrl: string,
  changes: readonly Change[],
  options: { readonly isSilent?: boolean } = {},
): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('BEGIN');
    const { rows } = await client.query<{ revision: string }>('SELECT revision FROM publication FOR UPDATE');
    const revision = Number(rows[0]?.revision) + 1;
    for (const change of changes) await writeEntity(client, change);
    const stored = changes.map(({ kind, id, after }) => ({ kind, id, before: null, after: after ?? null }));
    const values = [revision, JSON.stringify(stored)];
    await client.query("INSERT INTO revisions (number, actor, summary, changes) VALUES ($1, 'test', '', $2)", values);
    await client.query('UPDATE publication SET revision = $1', [revision]);
    if (!options.isSilent) await client.query("SELECT pg_notify('sallyport_revision', $1)", [String(revision)]);
    await client.query('COMMIT');
    return revision;
  } finally {
    await client.end();
  }
}

const TABLES = {
  certificate: 'certificates',
  api: 'apis',
  upstream: 'upstreams',
  binding: 'bindings',
  consumer: 'consumers',
  credential: 'credentials',
  install: 'installs',
};

async function writeEntity(client: pg.Client, change: Change): Promise<void> {
  await client.query(`DELETE FROM ${TABLES[change.kind]} WHERE id = $1`, [change.id]);
  if (change.after === undefined) return;
  if (change.kind === 'api') await insertApi(client, change.after);
  else if (change.kind === 'upstream') await insertUpstream(client, change.after);
  else if (change.kind === 'binding') await insertBinding(client, change.after);
  else if (change.kind === 'certificate') await insertCertificate(client, change.after);
  else if (change.kind === 'install') await insertInstall(client, change.after);
  else if (change.kind === 'consumer') await insertConsumer(client, change.after);
  else await insertCredential(client, change.after);
}

async function insert(client: pg.Client, table: string, row: Readonly<Record<string, unknown>>): Promise<void> {
  const columns = Object.keys(row);
  const places = columns.map((_, index) => `$${index + 1}`);
  await client.query(`INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places.join(', ')})`, Object.values(row));
}

async function insertApi(client: pg.Client, api: Api): Promise<void> {
  const { upstream } = api;
  const found =
    typeof upstream === 'string'
      ? undefined
      : await client.query<{ id: string }>('SELECT id FROM upstreams WHERE name = $1', [upstream.name]);
  await insert(client, 'apis', {
    id: api.id,
    name: api.name,
    upstream_url: typeof upstream === 'string' ? upstream : null,
    upstream_id: found?.rows[0]?.id ?? null,
    enabled: api.enabled,
    preserve_host: api.preserveHost,
    timeouts: api.timeouts,
    retries: api.retries,
    client_certificate: api.clientCertificate ?? null,
    ...common(api),
  });
  for (const [position, route] of api.routes.entries()) {
    const { id, name, hosts, paths, methods, headers, query, stripPath } = route;
    const rest = { hosts, paths, methods, headers, query, strip_path: stripPath };
    await insert(client, 'routes', { id, api_id: api.id, position, name: name ?? null, ...rest });
  }
}

async function insertCertificate(client: pg.Client, one: Certificate): Promise<void> {
  const { id, name, hosts, certificate, privateKey } = one;
  await insert(client, 'certificates', { id, name, hosts, certificate, sealed_key: privateKey, ...common(one) });
}

async function insertUpstream(client: pg.Client, upstream: Upstream): Promise<void> {
  await insert(client, 'upstreams', {
    id: upstream.id,
    name: upstream.name,
    protocol: upstream.protocol,
    load_balancing: upstream.loadBalancing,
    health_checks: upstream.healthChecks,
    tls: upstream.tls,
    ...common(upstream),
  });
  for (const [position, target] of upstream.targets.entries()) {
    await insert(client, 'targets', { upstream_id: upstream.id, position, ...target });
  }
}

async function insertConsumer(client: pg.Client, consumer: Consumer): Promise<void> {
  const { id, username, customId = null, groups } = consumer;
  await insert(client, 'consumers', { id, username, custom_id: customId, ...common(consumer) });
  for (const name of groups) {
    await client.query('INSERT INTO groups (name) VALUES ($1) ON CONFLICT DO NOTHING', [name]);
    await insert(client, 'consumer_groups', { consumer_id: id, group_name: name });
  }
}

async function insertCredential(client: pg.Client, credential: Credential): Promise<void> {
  const { id, consumerId, type, lookup, data } = credential;
  await insert(client, 'credentials', { id, consumer_id: consumerId, type, lookup, data, ...common(credential) });
}

async function insertInstall(client: pg.Client, install: Install): Promise<void> {
  const { id, plugin, version, sha256, granted, manifest, configSchema, tier, secrets, previous = null } = install;
  await insert(client, 'installs', {
    ...{ id, plugin, version, sha256, granted, manifest, config_schema: configSchema, tier },
    ...{ sealed_secrets: secrets, previous, ...common(install) },
  });
}

async function insertBinding(client: pg.Client, binding: Binding): Promise<void> {
  const { scope } = binding;
  await insert(client, 'bindings', {
    id: binding.id,
    plugin: binding.plugin,
    name: binding.name ?? null,
    api_id: scope.api ?? null,
    route_id: scope.route ?? null,
    consumer_id: scope.consumer ?? null,
    group_name: scope.group ?? null,
    config: binding.config,
    enabled: binding.enabled,
    sort_order: binding.order,
    condition: binding.when ?? null,
    effect: binding.effect,
    mandatory: binding.mandatory,
    ...common(binding),
  });
}

function common(entity: { tags: readonly string[]; createdAt: string; updatedAt: string }): Record<string, unknown> {
  return { tags: entity.tags, created_at: entity.createdAt, updated_at: entity.updatedAt };
}
