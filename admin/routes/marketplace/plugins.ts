// The resources marketplace/plugins and their versions: search, show, publish, review, change of state, bytes.
// Must not hold a rule: admin/marketplace does.
import { buildCursor, readCursor } from '../../answers.ts';
import { type Answer, type Call, ROLE_ACCESS, type RouteSpec } from '../../call.ts';
import { AdminError } from '../../errors.ts';
import { isVisible, viewerOf } from '../../marketplace/access.ts';
import { type PublishBody, publishVersion } from '../../marketplace/publish-version.ts';
import {
  changeState,
  getVersion,
  namespaceOf,
  type ReviewBody,
  reviewVersion,
  type StateBody,
  type VersionRef,
} from '../../marketplace/review-version.ts';
import { compareVersions } from '../../marketplace/semver.ts';
import { findPlugin, listCatalogue } from '../../store/marketplace/plugins.ts';
import { listPublishers } from '../../store/marketplace/publishers.ts';
import { findPackage, listVersions, type Version } from '../../store/marketplace/versions.ts';
import { listNodes } from '../../store/nodes.ts';
import { readMarketplaceBody } from './answers.ts';

const PATH = '/v1/marketplace/plugins';
const ONE = `${PATH}/:namespace/:name`;
const VERSION = `${ONE}/versions/:version`;

/** Lists the routes of plugins and versions. */
export const MARKETPLACE_PLUGIN_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: PATH,
    role: 'any',
    summary: 'Search plugins',
    gives: 'MarketplacePluginList',
    query: ['limit', 'cursor', 'search', 'category', 'state'],
    handle: list,
  },
  {
    method: 'POST',
    path: PATH,
    role: 'publisher',
    summary: 'Publish version; it waits for a review',
    takes: 'Publication',
    gives: 'MarketplaceVersion',
    status: 201,
    body: 'package',
    query: ['dryRun'],
    handle: (call) => publishVersion(call, readMarketplaceBody<PublishBody>('Publication', call.body), showVersion),
  },
  { method: 'GET', path: ONE, role: 'any', summary: 'Show plugin', gives: 'MarketplacePluginShown', handle: show },
  {
    method: 'GET',
    path: VERSION,
    role: 'any',
    summary: 'Show version with manifest, checks and texts',
    gives: 'MarketplaceVersion',
    handle: async (call) => ({ body: await showVersion(await find(call), call) }),
  },
  {
    method: 'GET',
    path: `${VERSION}/package`,
    role: 'any',
    summary: 'Give the bytes of a package',
    givesBytes: 'application/gzip',
    handle: bytes,
  },
  {
    method: 'POST',
    path: `${VERSION}/review`,
    role: 'reviewer',
    summary: 'Approve or reject version',
    takes: 'Review',
    gives: 'MarketplaceVersion',
    body: 'json',
    query: ['dryRun'],
    handle: (call) => {
      const body = readMarketplaceBody<ReviewBody>('Review', call.body);
      return reviewVersion(call, { ref: refIn(call), body, show: showVersion });
    },
  },
  {
    method: 'POST',
    path: `${VERSION}/state`,
    role: 'any',
    summary: 'Deprecate, yank or revoke version, or bring it back',
    takes: 'StateChange',
    gives: 'MarketplaceVersion',
    body: 'json',
    query: ['dryRun'],
    handle: (call) => {
      const body = readMarketplaceBody<StateBody>('StateChange', call.body);
      return changeState(call, { ref: refIn(call), body, show: showVersion });
    },
  },
];

function idIn({ params }: Call): string {
  return `${params['namespace'] ?? ''}/${params['name'] ?? ''}`;
}

function refIn(call: Call): VersionRef {
  return { plugin: idIn(call), version: call.params['version'] ?? '' };
}

async function list(call: Call): Promise<Answer> {
  const { limit, cursor, search, category, state } = call.query;
  const after = cursor === undefined ? undefined : readCursor(cursor);
  const rows = await call.services.database.run(async (knex) => {
    const viewer = viewerOf(call.actor, await listPublishers(knex));
    return await listCatalogue(knex, viewer, { limit: limit + 1, after, search, category, state });
  });
  const data = rows.slice(0, limit);
  return { body: { data, next: rows.length > limit ? buildCursor(data.at(-1)?.id ?? '') : null } };
}

async function show(call: Call): Promise<Answer> {
  const id = idIn(call);
  const found = await call.services.database.run(async (knex) => {
    const viewer = viewerOf(call.actor, await listPublishers(knex));
    const plugin = await findPlugin(knex, viewer, id);
    if (plugin === undefined) throw new AdminError('NOT_FOUND', 'There is no such plugin.');
    const versions = await listVersions(knex, id);
    return { plugin, versions: versions.filter(({ state }) => isVisible(viewer, namespaceOf(id), state)) };
  });
  const versions = found.versions
    .sort((one, other) => compareVersions(other.version, one.version))
    .map(({ version, sha256, state, advisory, publishedAt }) => ({ version, sha256, state, advisory, publishedAt }));
  const seesTraffic = ROLE_ACCESS[call.actor.role].includes('viewer');
  return { body: { ...found.plugin, versions, ...(seesTraffic ? { health: await readHealth(call, id) } : {}) } };
}

/** Says which version is installed, where it runs and how often it is bound, and sums up what live nodes measured. */
async function readHealth({ services }: Call, id: string): Promise<Readonly<Record<string, unknown>>> {
  const [nodes, state] = await Promise.all([services.database.run(listNodes), services.publisher.read()]);
  const live = nodes.filter(({ isLive }) => isLive);
  const reports = live.flatMap(({ health }) => (health.plugins ?? []).filter(({ plugin }) => plugin === id));
  const running = live.filter(({ plugins }) => plugins.some((one) => one.plugin === id && one.running !== null));
  const sum = (field: 'calls' | 'errors' | 'timeouts' | 'totalMs'): number =>
    reports.reduce((total, report) => total + (report[field] ?? 0), 0);
  return {
    installed: [...state.installs.values()].find(({ plugin }) => plugin === id)?.version ?? null,
    nodes: { live: live.length, running: running.length },
    bindings: [...state.bindings.values()].filter(({ plugin }) => plugin === id).length,
    calls: sum('calls'),
    errors: sum('errors'),
    timeouts: sum('timeouts'),
    totalMs: sum('totalMs'),
  };
}

async function find(call: Call): Promise<Version> {
  return await call.services.database.run((knex) => getVersion(call, knex, refIn(call)));
}

async function showVersion(version: Version, { services }: Call): Promise<unknown> {
  const { renderText } = services.marketplace;
  const [readme, changelog] = await Promise.all(
    [version.readme, version.changelog].map((text) => (text === null ? null : renderText(text))),
  );
  return { ...version, readme, changelog };
}

async function bytes(call: Call): Promise<Answer> {
  const { sha256 } = await find(call);
  const found = await call.services.database.run((knex) => findPackage(knex, sha256));
  if (found === undefined) throw new AdminError('NOT_FOUND', 'The package is gone.');
  // Bytes of a digest never change.
  return { body: found, mediaType: 'application/gzip', etag: `"${sha256}"` };
}
