// The resource revisions: what changed when, by whom; and the way back.
// Must not write tables: a rollback goes through publish like every write.
import { isDeepStrictEqual } from 'node:util';
import type { EntityKind, EntityOf } from '../../gateway/core/model.ts';
import { answerWrite, buildCursor, readCursor } from '../answers.ts';
import type { Answer, Call, RouteSpec } from '../call.ts';
import { buildDiff, showChanges } from '../document/diff.ts';
import type { Draft, EntityChange } from '../document/draft.ts';
import { AdminError } from '../errors.ts';
import type { Knex } from '../store/database.ts';
import { findRevision, listRevisions, type RevisionRow } from '../store/publication.ts';
import { WRITE_QUERY } from './resource.ts';

const PATH = '/v1/revisions';
/** Farthest way that a diff or a rollback goes, in revisions. */
const MAX_STEPS = 10_000;

/** Lists the routes of revisions. */
export const REVISION_ROUTES: readonly RouteSpec[] = [
  {
    method: 'GET',
    path: PATH,
    role: 'viewer',
    summary: 'List revisions, newest first',
    gives: 'RevisionList',
    query: ['limit', 'cursor'],
    handle: list,
  },
  {
    method: 'GET',
    path: `${PATH}/:number`,
    role: 'viewer',
    summary: 'Show revision with the entities it changed',
    gives: 'Revision',
    handle: show,
  },
  {
    method: 'GET',
    path: `${PATH}/:number/diff`,
    role: 'viewer',
    summary: 'Show what differs from the revision before, or from another',
    gives: 'Diff',
    query: ['against'],
    handle: diff,
  },
  {
    method: 'POST',
    path: `${PATH}/:number/rollback`,
    role: 'editor',
    summary: 'Make a new revision that equals this one',
    status: 201,
    gives: 'Diff',
    query: WRITE_QUERY,
    handle: rollback,
  },
];

async function list(call: Call): Promise<Answer> {
  const { limit, cursor } = call.query;
  const before = cursor === undefined ? undefined : readNumber(readCursor(cursor));
  const rows = await call.services.database.run((knex) => listRevisions(knex, limit + 1, before));
  const data = rows.slice(0, limit);
  return { body: { data, next: rows.length > limit ? buildCursor(String(data.at(-1)?.number)) : null } };
}

async function show(call: Call): Promise<Answer> {
  const { changes, ...revision } = await getRevision(call);
  const changed = changes.map((change) => {
    const { diff: _diff, ...entity } = buildDiff(change);
    return entity;
  });
  return { body: { ...revision, ...showChanges(changed) } };
}

async function diff(call: Call): Promise<Answer> {
  const { changes, number } = await getRevision(call);
  const { against = number - 1 } = call.query;
  if (against === number - 1) return { body: { from: against, to: number, ...showChanges(changes.map(buildDiff)) } };
  const merged = await call.services.database.run(async (knex) => {
    // Else the first revision that is missing on the way there would be named, and not the one that was asked for.
    if (against > number && (await findRevision(knex, against)) === undefined) throw notFound(against);
    return await collect(knex, Math.min(against, number), Math.max(against, number));
  });
  const forward = against < number ? merged : merged.map(turn);
  return { body: { from: against, to: number, ...showChanges(forward.map(buildDiff)) } };
}

async function rollback(call: Call): Promise<Answer> {
  const number = readNumber(call.params['number'] ?? '');
  return await answerWrite(call, {
    action: 'revision.rollback',
    summary: `roll back to revision ${number}`,
    async change(draft, transaction) {
      const { revision } = draft.base;
      if (number > revision) throw notFound(number);
      const undone = (await collect(transaction, number, revision)).map(turn);
      for (const change of undone) undo(draft, change);
      return undone.map(buildDiff);
    },
    locate: (problem) => `/${problem.kind}s/${problem.id}${problem.pointer}`,
    answer: (changes, revision, isChanged) => ({
      ...(isChanged ? { status: 201, location: `${PATH}/${revision}` } : {}),
      body: { rolledBackTo: number, ...showChanges(changes) },
    }),
  });
}

function undo(draft: Draft, { kind, id, after }: EntityChange): void {
  if (after === null) draft.remove(kind, id);
  else draft.put(kind, after as EntityOf[EntityKind]);
}

/**
 * Gives what changed after `from` up to `to`: each entity once, from its first state to its last. What came and went in
 * between, or is again as it was, did not change.
 */
async function collect(knex: Knex, from: number, to: number): Promise<EntityChange[]> {
  if (to - from > MAX_STEPS) throw new AdminError('CONFLICT', `More than ${MAX_STEPS} revisions lie between.`);
  const merged = new Map<string, EntityChange>();
  for (let number = from + 1; number <= to; number++) {
    const revision = await findRevision(knex, number);
    if (revision === undefined) throw notFound(number);
    for (const change of revision.changes) {
      const key = `${change.kind} ${change.id}`;
      merged.set(key, { ...change, before: (merged.get(key) ?? change).before });
    }
  }
  return [...merged.values()].filter(
    ({ before, after }) => !isDeepStrictEqual(withoutTime(before), withoutTime(after)),
  );
}

function withoutTime(entity: EntityChange['after']): unknown {
  return entity === null ? null : { ...entity, updatedAt: '' };
}

function turn(change: EntityChange): EntityChange {
  return { ...change, before: change.after, after: change.before };
}

async function getRevision(call: Call): Promise<RevisionRow & { readonly changes: readonly EntityChange[] }> {
  const number = readNumber(call.params['number'] ?? '');
  const revision = await call.services.database.run((knex) => findRevision(knex, number));
  if (revision === undefined) throw notFound(number);
  return revision;
}

function readNumber(text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new AdminError('NOT_FOUND', 'A revision is a whole number.');
  return Number(text);
}

function notFound(number: number): AdminError {
  return new AdminError('NOT_FOUND', `There is no revision ${number}.`);
}
