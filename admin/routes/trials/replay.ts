// Recorded requests of apis, and what a version of a plugin would do with them.
// Must not run code: a child does.
import type { DocumentState } from '../../../gateway/core/config.ts';
import type { Api } from '../../../gateway/core/model.ts';
import type { Answer, Call, RouteSpec } from '../../call.ts';
import { showChanges } from '../../document/diff.ts';
import { findEntity, readEntity } from '../../document/read.ts';
import { AdminError } from '../../errors.ts';
import { replay } from '../../replay/replay.ts';
import { writeAudit } from '../../store/audit.ts';
import { deleteRecorded, listRecorded } from '../../store/recorded/requests.ts';
import { INSTALL_PATH, nameIn } from '../installs.ts';

const RECORDED = '/v1/apis/:api/recorded-requests';

/** Lists the routes of replays. */
export const REPLAY_ROUTES: readonly RouteSpec[] = [
  {
    method: 'POST',
    path: `${INSTALL_PATH}/replay`,
    role: 'editor',
    summary: 'Run a version on recorded requests, installed or not, and say what it does otherwise',
    takes: 'ReplayInput',
    gives: 'Replay',
    body: 'json',
    handle: run,
  },
  {
    method: 'GET',
    path: RECORDED,
    role: 'viewer',
    summary: 'List recorded requests of an api, the newest first',
    gives: 'RecordedRequestList',
    query: ['limit'],
    handle: list,
  },
  {
    method: 'DELETE',
    path: RECORDED,
    role: 'editor',
    summary: 'Delete the recorded requests of an api',
    status: 204,
    query: ['dryRun'],
    handle: remove,
  },
];

async function run(call: Call): Promise<Answer> {
  const input = readEntity('replay', call.body);
  const state = await call.services.publisher.read();
  const body = await replay(call.services, state, { plugin: nameIn(call), input });
  return { body, revision: state.revision };
}

async function list(call: Call): Promise<Answer> {
  const { publisher, database } = call.services;
  const api = findApi(await publisher.read(), call);
  const data = await database.run((knex) => listRecorded(knex, api.id, call.query.limit));
  return { body: { data, next: null } };
}

async function remove(call: Call): Promise<Answer> {
  const { publisher, database } = call.services;
  const { id, name } = findApi(await publisher.read(), call);
  const isDryRun = call.query.dryRun === true;
  return await database.transaction(async (transaction) => {
    const diff = [{ pointer: '', before: { count: await deleteRecorded(transaction, id) } }];
    const event = { actor: call.actor.name, action: 'recorded-requests.delete', kind: 'api', id, revision: null, diff };
    await writeAudit(transaction, [event]);
    const changes = [{ kind: 'recorded-requests', id, name, action: 'delete' as const, diff }];
    const body = { isDryRun, ...showChanges(changes), problems: [] };
    return { value: isDryRun ? { body } : { status: 204 }, isKept: !isDryRun };
  });
}

function findApi(state: DocumentState, call: Call): Api {
  const ref = call.params['api'] ?? '';
  const api = findEntity(state.apis, 'api', ref);
  if (api === undefined) throw new AdminError('NOT_FOUND', `There is no api ${ref}.`);
  return api;
}
