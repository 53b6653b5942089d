// The shadow of an install: another version on copies of exchanges. Begin it, see what it would do, end it.
// Must not decide by itself: a shadow changes nothing, and nothing follows from it but what somebody reads.
import type { Answer, Call, RouteSpec } from '../../call.ts';
import { readEntity } from '../../document/read.ts';
import { readShadow } from '../../shadow/facts.ts';
import { endShadow, noShadow, startShadow } from '../../shadow/shadow.ts';
import { findVersion } from '../../store/marketplace/versions.ts';
import { listNodes } from '../../store/nodes.ts';
import { findOwn, INSTALL_PATH, nameIn, writeInstall } from '../installs.ts';
import { WRITE_QUERY } from '../resource.ts';

const PATH = `${INSTALL_PATH}/shadow`;

/** Lists the routes of shadows. */
export const SHADOW_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: PATH,
    role: 'viewer',
    summary: 'Show what a version in the shadow does otherwise than the installed one',
    gives: 'Shadow',
    handle: show,
  },
  {
    method: 'PUT',
    path: PATH,
    role: 'editor',
    summary: 'Run another version on copies of a part of the exchanges; 409 while one is on trial',
    takes: 'ShadowInput',
    gives: 'Install',
    body: 'json',
    query: WRITE_QUERY,
    handle: start,
  },
  {
    method: 'DELETE',
    path: PATH,
    role: 'editor',
    summary: 'End the shadow',
    gives: 'Install',
    query: WRITE_QUERY,
    handle: end,
  },
];

async function show(call: Call): Promise<Answer> {
  const { publisher, database } = call.services;
  const [state, nodes] = await Promise.all([publisher.read(), database.run(listNodes)]);
  const install = findOwn(call, state);
  const { plugin, version, shadow } = install;
  if (shadow === undefined) throw noShadow(install);
  const { percent, startedAt } = shadow;
  const facts = readShadow({ plugin, version, shadow }, nodes);
  return { body: { version: shadow.version, percent, startedAt, ...facts }, revision: state.revision };
}

async function start(call: Call): Promise<Answer> {
  const input = readEntity('shadow', call.body);
  return await writeInstall(call, nameIn(call), 'shadow', async (draft, transaction) => {
    const install = findOwn(call, draft.base);
    const offered = await findVersion(transaction, install.plugin, String(input['version']));
    return startShadow(draft, install, { input, offered, startedAt: new Date().toISOString() });
  });
}

async function end(call: Call): Promise<Answer> {
  return await writeInstall(call, nameIn(call), 'unshadow', async (draft) =>
    endShadow(draft, findOwn(call, draft.base)),
  );
}
