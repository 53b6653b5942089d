// The trial of another version of an install: begin it, see how it fares, promote or end it.
// Must not decide by itself: admin/canary watches trials.
import type { Answer, Call, RouteSpec } from '../../call.ts';
import { readCanary } from '../../canary/facts.ts';
import { judgeCanary } from '../../canary/judge.ts';
import { endCanary, noCanary, promoteCanary, startCanary } from '../../canary/trial.ts';
import { readEntity } from '../../document/read.ts';
import { findVersion } from '../../store/marketplace/versions.ts';
import { listNodes } from '../../store/nodes.ts';
import { findOwn, INSTALL_PATH, nameIn, writeInstall } from '../installs.ts';
import { WRITE_QUERY } from '../resource.ts';

const PATH = `${INSTALL_PATH}/canary`;

/** Lists the routes of trials. */
export const CANARY_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: PATH,
    role: 'viewer',
    summary: 'Show how a version on trial fares',
    gives: 'Canary',
    handle: show,
  },
  {
    method: 'PUT',
    path: PATH,
    role: 'editor',
    summary: 'Give a part of the exchanges to another version',
    takes: 'CanaryInput',
    gives: 'Install',
    body: 'json',
    query: WRITE_QUERY,
    handle: start,
  },
  {
    method: 'POST',
    path: `${PATH}/promote`,
    role: 'editor',
    summary: 'Install the version on trial',
    gives: 'Install',
    query: WRITE_QUERY,
    handle: promote,
  },
  {
    method: 'DELETE',
    path: PATH,
    role: 'editor',
    summary: 'End the trial',
    gives: 'Install',
    query: WRITE_QUERY,
    handle: end,
  },
];

async function show(call: Call): Promise<Answer> {
  const { publisher, database } = call.services;
  const [state, nodes] = await Promise.all([publisher.read(), database.run(listNodes)]);
  const { plugin, version, canary } = findOwn(call, state);
  if (canary === undefined) throw noCanary({ plugin });
  const { percent, key, rule, startedAt } = canary;
  const facts = readCanary({ plugin, version, canary }, nodes, Date.now());
  const body = {
    version: canary.version,
    percent,
    key,
    ...rule,
    startedAt,
    ...facts,
    verdict: judgeCanary(rule, facts),
  };
  return { body, revision: state.revision };
}

async function start(call: Call): Promise<Answer> {
  const input = readEntity('canary', call.body);
  return await writeInstall(call, nameIn(call), 'canary', async (draft, transaction) => {
    const install = findOwn(call, draft.base);
    const offered = await findVersion(transaction, install.plugin, String(input['version']));
    return startCanary(draft, install, { input, offered, startedAt: new Date().toISOString() });
  });
}

async function promote(call: Call): Promise<Answer> {
  return await writeInstall(call, nameIn(call), 'promote', async (draft) =>
    promoteCanary(draft, findOwn(call, draft.base)),
  );
}

async function end(call: Call): Promise<Answer> {
  return await writeInstall(call, nameIn(call), 'revert', async (draft) => endCanary(draft, findOwn(call, draft.base)));
}
