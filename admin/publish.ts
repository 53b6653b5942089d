// The one door for every write to the configuration, and the one place that knows the current document.
// Must not know a resource: callers change a draft, this checks, stores, numbers and announces it.
import {
  checkChange,
  checkDocument,
  type EntityProblem,
  type GoodDocument,
  type InstalledPlugins,
  type Verdict,
} from '../gateway/core/check.ts';
import { applyUpdate, type DocumentState, EMPTY_DOCUMENT, gatherIds } from '../gateway/core/config.ts';
import type { Change } from '../gateway/core/model.ts';
import type { Logger } from '../gateway/core/plugin.ts';
import { inSlices } from '../gateway/core/slicer.ts';
import { MAX_PROBLEMS } from '../gateway/core/validate.ts';
import { readChangesSince, readDocument } from '../gateway/sources/postgres/document.ts';
import { buildDiffs, type EntityDiff, showChanges } from './document/diff.ts';
import { Draft, type EntityChange } from './document/draft.ts';
import { findMovedRoutes } from './document/route-ids.ts';
import { AdminError, invalid } from './errors.ts';
import { createQueue } from './queue.ts';
import { writeAudit } from './store/audit.ts';
import { writeChanges } from './store/changes.ts';
import type { Database, Knex } from './store/database.ts';
import { lockRevision, readStanding, type Standing, writeRevision } from './store/publication.ts';

/** Most writes that may wait for the one at work. */
const MAX_WAITING_WRITES = 256;

/** A write of at least so many entities tells the log how it goes. */
const LARGE_WRITE = 1000;

/** Says who writes what, and how. */
export interface PublishOptions {
  readonly actor: string;
  /** Such as `api.update`; goes to the audit. */
  readonly action: string;
  /** One line for the list of revisions. */
  readonly summary: string;
  /** Checks and answers, but writes nothing. */
  readonly isDryRun: boolean;
  /** Gives the pointer into the request's body for a problem of an entity. */
  readonly locate?: (problem: EntityProblem) => string;
}

/** Is what a write did. */
export interface Publication<Value> {
  readonly value: Value;
  /** The revision now current; a new one only when something changed. */
  readonly revision: number;
  readonly changes: readonly EntityDiff[];
  /** The document after the write. */
  readonly state: DocumentState;
}

/** Changes a draft, or throws to refuse. What it gives back comes back from `publish`. */
export type DraftChange<Value> = (draft: Draft, transaction: Knex.Transaction) => Value | Promise<Value>;

/** Reads and writes the document. */
export interface Publisher {
  /** Gives the document as it was when it was last read or written here, without asking; undefined = never. */
  peek(): DocumentState | undefined;
  /** Gives the document as the database has it now. */
  read(): Promise<DocumentState>;
  /** Makes one revision of what `change` does to the draft: all of it or nothing. */
  publish<Value>(change: DraftChange<Value>, options: PublishOptions): Promise<Publication<Value>>;
}

/** Builds the publisher; the document is read when first needed. */
export function createPublisher(options: {
  readonly database: Database;
  readonly plugins: InstalledPlugins;
  readonly log: Logger;
}): Publisher {
  const { database, plugins, log } = options;
  // Writes wait here and not at the lock, so that they hold no connection.
  const inTurn = createQueue({
    atOnce: 1,
    maxWaiting: MAX_WAITING_WRITES,
    refuse: () =>
      new AdminError('TOO_MANY_WRITES', 'Too many writes are waiting; try again.', { headers: { 'Retry-After': '1' } }),
  });
  let known: Known | undefined;

  // The document in memory is only ever used after a look at the database, so it is never stale.
  async function sync(knex: Knex): Promise<Known> {
    const before = known;
    const standing = await readStanding(knex, before?.state.revision ?? 0);
    const base = before !== undefined && isSameHistory(before, standing) ? before : undefined;
    if (base?.state.revision === standing.revision) known = { ...base, madeAt: standing.madeAt };
    else known = { ...(await readKnown(knex, base, { revision: standing.revision, plugins })), madeAt: null };
    return known;
  }

  return {
    peek: () => known?.state,
    async read() {
      const before = known;
      const standing = await database.run((knex) => readStanding(knex, before?.state.revision ?? 0));
      if (before?.state.revision === standing.revision && isSameHistory(before, standing)) {
        if (known === before) known = { ...before, madeAt: standing.madeAt };
        return before.state;
      }
      return await database.transaction(async (transaction) => {
        await transaction.raw('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
        return { value: (await sync(transaction)).state, isKept: true };
      });
    },
    async publish(change, publishOptions) {
      return await inTurn(async () => {
        let after: Omit<Known, 'madeAt'> | undefined;
        const publication = await database.transaction(async (transaction) => {
          await lockRevision(transaction);
          const base = await sync(transaction);
          const draft = new Draft(base.state, new Date().toISOString());
          const value = await change(draft, transaction);
          const { good, ...done } = await store(transaction, { draft, base, plugins, log, options: publishOptions });
          const isKept = done.revision !== base.state.revision && !publishOptions.isDryRun;
          if (isKept) after = { state: done.state, good };
          return { value: { value, ...done }, isKept };
        });
        // Only a commit that was confirmed moves the document; after any doubt the next request reads the number anew.
        if (after !== undefined) {
          known = { ...after, madeAt: null };
          const { action, actor } = publishOptions;
          const { revision, changes } = publication;
          log.info('published', { revision, action, actor, changes: changes.length });
        }
        return publication;
      });
    },
  };
}

interface Known {
  readonly state: DocumentState;
  /** Undefined as long as the document was not checked, or when something is wrong with it: then all of it is checked at the next write. */
  readonly good: GoodDocument | undefined;
  /** When this revision was made, as the database knows it; null = not asked yet. */
  readonly madeAt: string | null;
}

/** After a failover or a restore the same number can name another revision; its time tells. */
function isSameHistory(known: Known, { madeAt }: Standing): boolean {
  return known.madeAt === null || madeAt === null || known.madeAt === madeAt;
}

/** Reads the document, or what another admin changed of the one that is known. */
async function readKnown(
  knex: Knex,
  known: Known | undefined,
  { revision, plugins }: { readonly revision: number; readonly plugins: InstalledPlugins },
): Promise<Omit<Known, 'madeAt'>> {
  if (known !== undefined && known.state.revision < revision) {
    const update = await readChangesSince(knex, known.state.revision);
    if (update !== undefined) {
      const state = await inSlices(applyUpdate(known.state, update));
      return { state, good: known.good && goodOf(await check(known.good, state, { named: update.changes, plugins })) };
    }
  }
  const { changes } = await readDocument(knex);
  return { state: await inSlices(applyUpdate(EMPTY_DOCUMENT, { revision, isReset: true, changes })), good: undefined };
}

/** Checks what a document became; all of it when the one before is not known to be good. */
async function check(
  before: GoodDocument | undefined,
  state: DocumentState,
  { named, plugins }: { readonly named: readonly (Change | EntityChange)[]; readonly plugins: InstalledPlugins },
): Promise<Verdict> {
  const options = { plugins, consumers: 'here' } as const;
  if (before === undefined) return await inSlices(checkDocument(state, options));
  const touched = await inSlices(gatherIds(named));
  return await inSlices(checkChange(before, state, { ...options, touched }));
}

function goodOf(verdict: Verdict): GoodDocument | undefined {
  return verdict.ok ? verdict.good : undefined;
}

interface Candidate {
  readonly draft: Draft;
  readonly base: Known;
  readonly plugins: InstalledPlugins;
  readonly log: Logger;
  readonly options: PublishOptions;
}

async function store(
  transaction: Knex.Transaction,
  { draft, base, plugins, log, options }: Candidate,
): Promise<Omit<Publication<unknown>, 'value'> & Pick<Known, 'good'>> {
  const changes = draft.changes();
  const diffs = await buildDiffs(changes);
  const { revision: current } = base.state;
  if (changes.length === 0) return { revision: current, changes: diffs, state: base.state, good: base.good };

  const state = await inSlices(draft.state());
  const verdict = await check(base.good, state, { named: changes, plugins });
  const found = verdict.ok ? [] : verdict.problems;
  const isFound = (one: EntityProblem): boolean =>
    found.some(({ id, pointer }) => id === one.id && pointer === one.pointer);
  const problems = [...found, ...findMovedRoutes(changes, base).filter((one) => !isFound(one))];
  if (problems.length > 0) throw buildRefusal(problems, options, diffs);
  const good = goodOf(verdict);
  if (options.isDryRun) return { revision: current, changes: diffs, state, good };

  const isLarge = changes.length >= LARGE_WRITE;
  if (isLarge) log.info('writing a large change', { changes: changes.length, action: options.action });
  await writeChanges(transaction, changes);
  if (isLarge) log.info('configuration written; recording the revision', { revision: state.revision });
  await record(transaction, state.revision, changes, diffs, options);
  return { revision: state.revision, changes: diffs, state, good };
}

async function record(
  transaction: Knex.Transaction,
  number: number,
  changes: readonly EntityChange[],
  diffs: readonly EntityDiff[],
  { actor, action, summary }: PublishOptions,
): Promise<void> {
  const events = diffs.map(({ kind, id, diff }) => ({ actor, action, kind, id, revision: number, diff }));
  await writeAudit(transaction, events);
  await writeRevision(transaction, { number, actor, summary, changes });
}

/** Builds CONFLICT when only unique values collide, else CONFIG_INVALID; a dry run tells the diff beside the problems. */
function buildRefusal(
  found: readonly EntityProblem[],
  { isDryRun, locate }: PublishOptions,
  diffs: readonly EntityDiff[],
): AdminError {
  const problems = found.slice(0, MAX_PROBLEMS).map((problem) => ({
    pointer: locate?.(problem) ?? problem.pointer,
    message: problem.message,
  }));
  const isCollision = found.every((problem) => problem.code === 'NOT_UNIQUE');
  return new AdminError(isCollision ? 'CONFLICT' : 'CONFIG_INVALID', invalid(problems).message, {
    problems,
    ...(isDryRun ? { facts: showChanges(diffs) } : {}),
  });
}
