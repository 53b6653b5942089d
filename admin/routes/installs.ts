// The resource installs: plugins of the marketplace in this gateway, their upgrades and the way back.
// Must not publish or review: that is the marketplace. Must not run code: migrations run in a child.
import type { EntityProblem } from '../../gateway/core/check.ts';
import type { DocumentState } from '../../gateway/core/config.ts';
import type { Install } from '../../gateway/core/model.ts';
import { answerPage, answerWrite, buildEtag, checkPreconditions } from '../answers.ts';
import type { Answer, Call, RouteSpec } from '../call.ts';
import type { Draft } from '../document/draft.ts';
import { putInstall, removeInstall, rollBackInstall, showInstall, toInstall } from '../document/installs.ts';
import { mergePatch } from '../document/merge-patch.ts';
import { findEntity, type Input, isRecord, readEntity } from '../document/read.ts';
import { AdminError, invalidField } from '../errors.ts';
import { migrateConfigs } from '../installs/migrate.ts';
import type { Knex } from '../store/database.ts';
import { findVersion } from '../store/marketplace/versions.ts';
import { listNodes, type NodeRow } from '../store/nodes.ts';
import { WRITE_QUERY } from './resource.ts';

const PATH = '/v1/installs';
/** Is the path of one install. */
export const INSTALL_PATH = '/v1/installs/:namespace/:name';

/** Lists the routes of installs. */
export const INSTALL_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: PATH,
    role: 'viewer',
    summary: 'List installs',
    gives: 'InstallList',
    query: ['limit', 'cursor', 'search', 'tag'],
    handle: list,
  },
  {
    method: 'POST',
    path: PATH,
    role: 'editor',
    summary: 'Install a version of a plugin; 409 with the permissions while it asks for more than is granted',
    takes: 'Install',
    gives: 'Install',
    status: 201,
    body: 'json',
    query: WRITE_QUERY,
    handle: create,
  },
  { method: 'GET', path: INSTALL_PATH, role: 'viewer', summary: 'Show install', gives: 'Install', handle: show },
  {
    method: 'PATCH',
    path: INSTALL_PATH,
    role: 'editor',
    summary: 'Change install; another version upgrades it, with its bindings',
    takes: 'Install',
    gives: 'Install',
    body: 'merge-patch',
    query: WRITE_QUERY,
    handle: patch,
  },
  {
    method: 'POST',
    path: `${INSTALL_PATH}/rollback`,
    role: 'editor',
    summary: 'Go back to the version before',
    gives: 'Install',
    query: WRITE_QUERY,
    handle: rollBack,
  },
  {
    method: 'DELETE',
    path: INSTALL_PATH,
    role: 'editor',
    summary: 'Uninstall; refused while it is bound',
    status: 204,
    query: WRITE_QUERY,
    handle: remove,
  },
];

async function list(call: Call): Promise<Answer> {
  const { publisher, database } = call.services;
  const [state, nodes] = await Promise.all([publisher.read(), database.run(listNodes)]);
  const page = answerPage(call, state.installs.values(), {
    keyOf: (install) => install.plugin,
    textOf: ({ plugin, manifest }) => `${plugin}\n${manifest.title}`,
    tagsOf: (install) => install.tags,
    show: (install) => ({ ...showInstall(install, state.bindings.values()), troubles: listTroubles(install, nodes) }),
  });
  return { ...page, revision: state.revision };
}

async function show(call: Call): Promise<Answer> {
  const { publisher, database } = call.services;
  const [state, nodes] = await Promise.all([publisher.read(), database.run(listNodes)]);
  const install = findOwn(call, state);
  const body = { ...showInstall(install, state.bindings.values()), troubles: listTroubles(install, nodes) };
  return { body, etag: buildEtag(install), revision: state.revision };
}

/** Lists what live nodes say of an install that does not run there as it is. */
function listTroubles({ plugin: name }: Install, nodes: readonly NodeRow[]): readonly Input[] {
  return nodes
    .filter(({ isLive }) => isLive)
    .flatMap(({ name: node, plugins }) =>
      plugins
        .filter(({ plugin, problem }) => plugin === name && problem !== null)
        .map(({ plugin: _plugin, ...report }) => ({ node, ...report })),
    );
}

async function create(call: Call): Promise<Answer> {
  const input = readEntity('install', call.body);
  return await writeInstall(call, String(input['plugin']), 'create', async (draft, transaction) => {
    const offered = await findVersion(transaction, String(input['plugin']), String(input['version']));
    const { secretKey } = call.services;
    return putInstall(draft, toInstall(input, { existing: undefined, offered, secretKey }));
  });
}

async function patch(call: Call): Promise<Answer> {
  if (!isRecord(call.body)) throw invalidField('', 'expected an object');
  const { publisher, secretKey } = call.services;
  const state = await publisher.read();
  const known = findOwn(call, state);
  const version = String(mergeInto(known, call.body)['version']);
  // Outside of the transaction: it takes the time of a child process.
  const migrated = await migrateConfigs(call.services, state, { install: known, version });
  return await writeInstall(call, known.plugin, 'update', async (draft, transaction) => {
    const existing = findOwn(call, draft.base);
    checkPreconditions(call, buildEtag(existing));
    if (existing.sha256 !== known.sha256) throw new AdminError('CONFLICT', 'It was changed meanwhile; try again.');
    const input = mergeInto(existing, call.body);
    const offered = await findVersion(transaction, existing.plugin, String(input['version']));
    return putInstall(draft, toInstall(input, { existing, offered, secretKey }), migrated);
  });
}

/** Gives what a body makes of an install. The digest follows the version unless the body says it too. */
function mergeInto({ plugin, version, granted, tier, tags }: Install, body: unknown): Input {
  return readEntity('install', mergePatch({ plugin, version, granted, tier, tags }, body));
}

async function rollBack(call: Call): Promise<Answer> {
  return await writeInstall(call, nameIn(call), 'rollback', async (draft, transaction) => {
    const existing = findOwn(call, draft.base);
    const { plugin, previous } = existing;
    const target = previous && (await findVersion(transaction, plugin, previous.version));
    if (target?.state === 'revoked') {
      throw new AdminError('CONFLICT', `Version ${target.version} of ${plugin} is revoked.`);
    }
    return rollBackInstall(draft, existing);
  });
}

async function remove(call: Call): Promise<Answer> {
  return await answerWrite(call, {
    action: 'install.delete',
    summary: `uninstall ${nameIn(call)}`,
    change: (draft) => {
      const existing = findOwn(call, draft.base);
      checkPreconditions(call, buildEtag(existing));
      removeInstall(draft, existing);
    },
    answer: () => ({ status: 204 }),
  });
}

/** Writes one install, and answers with it. */
export async function writeInstall(
  call: Call,
  plugin: string,
  verb: 'create' | 'update' | 'rollback' | 'canary' | 'promote' | 'revert' | 'shadow' | 'unshadow',
  change: (draft: Draft, transaction: Knex.Transaction) => Promise<Install>,
): Promise<Answer> {
  let written: Install | undefined;
  return await answerWrite(call, {
    action: `install.${verb}`,
    summary: `${verb} install ${plugin}`,
    plugin,
    async change(draft, transaction) {
      written = await change(draft, transaction);
      return { install: written, bindings: [...draft.all('binding').values()] };
    },
    locate: (problem) => locate(problem, written?.id),
    answer: ({ install, bindings }) => ({
      status: verb === 'create' ? 201 : 200,
      body: showInstall(install, bindings),
      etag: buildEtag(install),
      ...(verb === 'create' ? { location: `${PATH}/${install.plugin}` } : {}),
    }),
  });
}

function locate(problem: EntityProblem, id: string | undefined): string {
  const isOwn = problem.kind === 'install' && problem.id === id;
  return isOwn ? problem.pointer : `/${problem.kind}s/${problem.id}${problem.pointer}`;
}

/** Gives the name of the plugin that the path names. */
export function nameIn(call: Call): string {
  return `${call.params['namespace']}/${call.params['name']}`.slice(0, 129);
}

/** Finds the install that the path names. @throws NOT_FOUND */
export function findOwn(call: Call, state: DocumentState): Install {
  const install = findEntity(state.installs, 'install', nameIn(call));
  if (install === undefined) throw new AdminError('NOT_FOUND', `There is no install ${nameIn(call)}.`);
  return install;
}
