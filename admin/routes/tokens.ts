// The resource tokens: who may call the admin service. For owners only.
// Must not keep a token: the answer that makes one is the only place it shows.
import { randomBytes, randomUUID } from 'node:crypto';
import { answerPage } from '../answers.ts';
import type { Answer, Call, RouteSpec } from '../call.ts';
import { showChanges } from '../document/diff.ts';
import { isId, readEntity } from '../document/read.ts';
import { AdminError } from '../errors.ts';
import { writeAudit } from '../store/audit.ts';
import type { Knex } from '../store/database.ts';
import { lockRevision } from '../store/publication.ts';
import { deleteToken, insertToken, listTokens, type NewToken, type TokenRow } from '../store/tokens.ts';

const PATH = '/v1/tokens';

/** Lists the routes of tokens. */
export const TOKEN_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: PATH,
    role: 'owner',
    summary: 'List tokens',
    gives: 'TokenList',
    query: ['limit', 'cursor', 'search'],
    handle: list,
  },
  {
    method: 'POST',
    path: PATH,
    role: 'owner',
    summary: 'Create token; the answer shows it once',
    takes: 'Token',
    gives: 'TokenShown',
    status: 201,
    body: 'json',
    query: ['dryRun'],
    handle: create,
  },
  { method: 'GET', path: `${PATH}/:token`, role: 'owner', summary: 'Show token', gives: 'TokenShown', handle: show },
  {
    method: 'DELETE',
    path: `${PATH}/:token`,
    role: 'owner',
    summary: 'Revoke token',
    status: 204,
    query: ['dryRun'],
    handle: remove,
  },
];

async function list(call: Call): Promise<Answer> {
  const rows = await call.services.database.run(listTokens);
  return answerPage(call, rows, { keyOf: (row) => row.name, textOf: (row) => row.name, show: (row) => row });
}

async function show(call: Call): Promise<Answer> {
  return { body: find(await call.services.database.run(listTokens), call.params['token'] ?? '') };
}

async function create(call: Call): Promise<Answer> {
  const input = readEntity('token', call.body) as unknown as Pick<NewToken, 'name' | 'role'>;
  const made: NewToken = { ...input, id: randomUUID(), token: `sallyport_${randomBytes(32).toString('base64url')}` };
  return await write(call, 'create', async (transaction) => {
    const isTaken = (await listTokens(transaction)).some((row) => row.name === made.name);
    if (isTaken) {
      const problems = [{ pointer: '/name', message: 'expected a name that no other token has' }];
      throw new AdminError('CONFLICT', `There is a token ${made.name} already.`, { problems });
    }
    await insertToken(transaction, made);
    const { token, ...after } = made;
    const row = find(await listTokens(transaction), made.id);
    const answer = { status: 201, location: `${PATH}/${made.id}`, body: { ...row, token } };
    return { id: made.id, name: made.name, diff: [{ pointer: '', after }], answer };
  });
}

async function remove(call: Call): Promise<Answer> {
  return await write(call, 'delete', async (transaction) => {
    const rows = await listTokens(transaction);
    const { id, name, role } = find(rows, call.params['token'] ?? '');
    if (role === 'owner' && rows.filter((row) => row.role === 'owner').length === 1) {
      throw new AdminError('IN_USE', 'It is the last token with the role owner.');
    }
    await deleteToken(transaction, id);
    return { id, name, diff: [{ pointer: '', before: { id, name, role } }], answer: { status: 204 } };
  });
}

interface Written {
  readonly id: string;
  readonly name: string;
  readonly diff: readonly unknown[];
  readonly answer: Answer;
}

/** Tokens are no part of the document: a write is audited but makes no revision. */
async function write(
  call: Call,
  verb: 'create' | 'delete',
  change: (transaction: Knex.Transaction) => Promise<Written>,
): Promise<Answer> {
  const isDryRun = call.query.dryRun === true;
  return await call.services.database.transaction(async (transaction) => {
    // The lock keeps two owners from deleting each other's token, the last two, at once.
    const revision = await lockRevision(transaction);
    const { id, name, diff, answer } = await change(transaction);
    const action = `token.${verb}`;
    await writeAudit(transaction, [{ actor: call.actor.name, action, kind: 'token', id, revision: null, diff }]);
    const changes = [{ kind: 'token', id, name, action: verb, diff }];
    const preview = { isDryRun, ...showChanges(changes), problems: [] };
    return { value: isDryRun ? { body: preview, revision } : { ...answer, revision }, isKept: !isDryRun };
  });
}

function find(rows: readonly TokenRow[], ref: string): TokenRow {
  const row = rows.find((one) => (isId(ref) ? one.id : one.name) === ref);
  if (row === undefined) throw new AdminError('NOT_FOUND', 'There is no such token.');
  return row;
}
