// What runs and what happened: nodes, health of upstreams, plugins, audit, explain.
// Must not write.
import { explainRequest } from '../../gateway/core/explain.ts';
import { buildValidator } from '../../gateway/core/validate.ts';
import { answerPage, buildCursor, readCursor } from '../answers.ts';
import type { Answer, Call, RouteSpec } from '../call.ts';
import { findEntity } from '../document/read.ts';
import { AdminError, invalid } from '../errors.ts';
import { listAudit } from '../store/audit.ts';
import { listNodes, type NodeRow } from '../store/nodes.ts';
import { listPlugins, type PluginRow } from '../store/plugins.ts';
import { EXPLAIN_SCHEMA } from './explain-schema.ts';

const read = { method: 'GET', role: 'viewer' } as const;

const checkExplain = buildValidator(EXPLAIN_SCHEMA);

/** Lists the routes that only read what runs. */
export const OPERATION_ROUTES: readonly RouteSpec[] = [
  {
    ...read,
    path: '/v1/nodes',
    summary: 'List nodes and the revision each runs',
    gives: 'NodeList',
    query: ['limit', 'cursor', 'search'],
    handle: nodes,
  },
  {
    ...read,
    path: '/v1/upstreams/:upstream/health',
    summary: 'Show how the nodes see the targets of an upstream',
    gives: 'UpstreamHealth',
    handle: upstreamHealth,
  },
  {
    ...read,
    path: '/v1/plugins',
    summary: 'List installed plugins',
    gives: 'PluginList',
    query: ['limit', 'cursor', 'search'],
    handle: plugins,
  },
  { ...read, path: '/v1/plugins/:plugin', summary: 'Show installed plugin', gives: 'Plugin', handle: plugin },
  {
    ...read,
    path: '/v1/plugins/:namespace/:name',
    summary: 'Show plugin installed from the marketplace',
    gives: 'Plugin',
    handle: plugin,
  },
  {
    ...read,
    path: '/v1/audit',
    summary: 'List audit events, newest first',
    gives: 'AuditList',
    query: ['limit', 'cursor', 'actor', 'action', 'kind', 'entity', 'revision', 'since', 'until'],
    handle: audit,
  },
  {
    method: 'POST',
    role: 'viewer',
    path: '/v1/explain',
    summary: 'Explain what would happen to a request',
    body: 'json',
    takes: 'ExplainRequest',
    gives: 'Explanation',
    handle: explain,
  },
];

async function nodes(call: Call): Promise<Answer> {
  return answerPage(call, await call.services.database.run(listNodes), {
    // Two nodes may have one name.
    keyOf: ({ name, id }) => `${name} ${id}`,
    textOf: ({ name }) => name,
    show: (node) => node,
  });
}

async function upstreamHealth(call: Call): Promise<Answer> {
  const state = await call.services.publisher.read();
  const ref = call.params['upstream'] ?? '';
  const upstream = findEntity(state.upstreams, 'upstream', ref);
  if (upstream === undefined) throw new AdminError('NOT_FOUND', `There is no upstream ${ref.slice(0, 128)}.`);
  const live = (await call.services.database.run(listNodes)).filter((node) => node.isLive);
  const data = upstream.targets.map((target) => ({
    ...target,
    nodes: live.flatMap((node) => {
      const told = node.health.targets?.filter(
        (one) =>
          (one.upstream === upstream.id || one.upstream === upstream.name) &&
          one.host === target.host &&
          one.port === target.port,
      );
      // A node tells of targets that are in trouble or in use; of the others there is nothing to tell.
      const seen = told?.length === 0 ? [{ isHealthy: true, inFlight: 0 }] : (told ?? []);
      return seen.map(({ isHealthy, inFlight = 0 }) => ({ id: node.id, name: node.name, isHealthy, inFlight }));
    }),
  }));
  return { body: { data, next: null } };
}

/** Reads plugins of both kinds: those in folders, and those that the marketplace installed. */
async function readPlugins({ database, publisher }: Call['services']): Promise<Installed> {
  const [rows, seen, state] = await Promise.all([database.run(listPlugins), database.run(listNodes), publisher.read()]);
  const installs = Array.from(state.installs.values(), (install) => ({
    name: install.plugin,
    version: install.version,
    source: 'marketplace',
    manifest: install.manifest,
    configSchema: install.configSchema,
    installedAt: install.updatedAt,
  }));
  return { rows: [...rows, ...installs], seen, bindings: [...state.bindings.values()] };
}

interface Installed {
  readonly rows: readonly PluginRow[];
  readonly seen: readonly NodeRow[];
  readonly bindings: readonly { readonly plugin: string }[];
}

async function plugins(call: Call): Promise<Answer> {
  const { rows, seen, bindings } = await readPlugins(call.services);
  return answerPage(call, rows, {
    keyOf: (row) => `${row.name} ${row.version}`,
    textOf: (row) => `${row.name}\n${row.manifest.title}`,
    show: (row) => showPlugin(row, seen, bindings),
  });
}

async function plugin(call: Call): Promise<Answer> {
  const { plugin: own, namespace, name } = call.params;
  const { rows, seen, bindings } = await readPlugins(call.services);
  const row = rows.findLast((one) => one.name === (own ?? `${namespace}/${name}`));
  if (row === undefined) throw new AdminError('NOT_FOUND', 'There is no such plugin.');
  return { body: showPlugin(row, seen, bindings) };
}

function showPlugin(
  row: PluginRow,
  seen: readonly NodeRow[],
  bindings: readonly { readonly plugin: string }[],
): unknown {
  const live = seen.filter((node) => node.isLive);
  const reports = live.flatMap((node) => node.health.plugins ?? []);
  const incidents = live.flatMap(({ name: node, health }) =>
    (health.incidents ?? []).filter(({ plugin }) => plugin === row.name).map((one) => ({ node, ...one })),
  );
  const own = reports.filter((report) => report.plugin === row.name);
  const sum = (field: 'calls' | 'errors' | 'timeouts' | 'totalMs'): number =>
    own.reduce((total, report) => total + (report[field] ?? 0), 0);
  return {
    ...row,
    bindings: bindings.filter((binding) => binding.plugin === row.name).length,
    health: { calls: sum('calls'), errors: sum('errors'), timeouts: sum('timeouts'), totalMs: sum('totalMs') },
    incidents,
  };
}

async function audit(call: Call): Promise<Answer> {
  const { limit, cursor, ...filter } = call.query;
  const before = cursor === undefined ? undefined : Number(readCursor(cursor));
  if (before !== undefined && !Number.isSafeInteger(before)) {
    throw new AdminError('QUERY_INVALID', 'Query parameter cursor: expected the `next` of a page.');
  }
  const rows = await call.services.database.run((knex) => listAudit(knex, { ...filter, before }, limit + 1));
  const data = rows.slice(0, limit);
  return { body: { data, next: rows.length > limit ? buildCursor(String(data.at(-1)?.id)) : null } };
}

async function explain(call: Call): Promise<Answer> {
  const problems = checkExplain(call.body);
  if (problems.length > 0) throw invalid(problems);
  const state = await call.services.publisher.read();
  const request = call.body as Parameters<typeof explainRequest>[2];
  return { body: explainRequest(state, call.services.plugins, request), revision: state.revision };
}
