// Brings all workers from one revision to the next together: every worker prepares, then all swap, or none does.
// Must not know processes, sockets or where updates come from.
import { applyUpdate, type DocumentState, EMPTY_DOCUMENT, listChanges } from '../../../core/config.ts';
import type { Problem } from '../../../core/errors.ts';
import type { Update } from '../../../core/model.ts';
import type { Clock, Logger } from '../../../core/ports.ts';
import { inSlices } from '../../../core/slicer.ts';

/** Is a worker's answer to a revision: it could, it could not, or the worker is gone. */
export type Vote = { readonly isGone: false; readonly problems: readonly Problem[] } | { readonly isGone: true };

/** Is a worker as the publisher sees it. No call rejects; a worker that dies answers `isGone`. */
export interface Voter {
  readonly slot: number;
  prepare(update: Update): Promise<Vote>;
  /** Swaps; resolves when the worker runs the revision, or is gone. */
  commit(revision: number): Promise<void>;
  discard(revision: number): void;
  /** Ends a worker that cannot run the document in force, so that another takes its place. */
  replace(reason: string): void;
}

/** Says which revision was refused, why and when. */
export interface RevisionRefusal {
  readonly revision: number;
  readonly problems: readonly Problem[];
  readonly at: string;
}

/** Is what the publisher needs and whom it tells. */
export interface PublisherOptions<Member extends Voter> {
  readonly clock: Clock;
  readonly log: Logger;
  /** Every worker that joined runs `update.revision` now; from the first message to the last answer it took `tookMs`. */
  onCommitted(document: DocumentState, update: Update, tookMs: number): void;
  onRefused(refusal: RevisionRefusal): void;
  /** The worker runs the document in force (or there is none yet) and may take traffic. */
  onJoined(voter: Member): void;
}

/** Workers may die while they prepare a revision this often before it is held to be what kills them. */
const MAX_FATAL_TRIES = 2;

/** Owns the document in force and the way to the next. One step at a time: publish, or feed newcomers. */
export class Publisher<Member extends Voter> {
  readonly #options: PublisherOptions<Member>;
  readonly #voters = new Set<Member>();
  readonly #newcomers = new Set<Member>();
  #document: DocumentState | undefined;
  #pending: Update | undefined;
  #refusal: RevisionRefusal | undefined;
  #offeredRevision: number | undefined;
  #fatalTries = 0;
  #isStale = false;
  #isRunning = false;
  #isOpen = false;

  constructor(options: PublisherOptions<Member>) {
    this.#options = options;
  }

  /** Is the document in force; undefined before the first. */
  get document(): DocumentState | undefined {
    return this.#document;
  }

  /** Is the newest revision offered, in force or not; undefined before the first. */
  get offeredRevision(): number | undefined {
    return this.#offeredRevision;
  }

  /** Is why the newest revision is not in force; undefined when it is, or is on its way. */
  get refusal(): RevisionRefusal | undefined {
    return this.#refusal;
  }

  /** Lets publishing begin. Until then workers gather, so that the first revision is compiled by all at once. */
  open(): void {
    this.#isOpen = true;
    this.#wake();
  }

  /** Takes a further update. What is not in force yet is merged with it: a refused revision may be healed by the next. */
  offer(update: Update): void {
    this.#pending = this.#pending === undefined ? update : mergeUpdates(this.#pending, update);
    this.#offeredRevision = update.revision;
    this.#refusal = undefined;
    this.#fatalTries = 0;
    this.#wake();
  }

  /** Prepares the installs in force again, after what waits: what may run of them has changed. */
  refreshInstalls(): void {
    this.#isStale = true;
    this.#wake();
  }

  /** Takes in a new worker: it gets the document in force, then every later update. */
  join(voter: Member): void {
    this.#newcomers.add(voter);
    this.#wake();
  }

  /** Forgets a worker that is gone. */
  leave(voter: Member): void {
    this.#voters.delete(voter);
    this.#newcomers.delete(voter);
  }

  #wake(): void {
    if (this.#isRunning || !this.#isOpen) return;
    this.#isRunning = true;
    this.#run().catch((error: unknown) => {
      this.#isRunning = false;
      this.#options.log.error('publishing failed', { error });
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      if (this.#newcomers.size > 0) await this.#feedNewcomers();
      else if (this.#pending !== undefined && this.#refusal === undefined && this.#voters.size > 0) {
        await this.#publish(this.#pending);
      } else if (this.#isStale && this.#document !== undefined && this.#voters.size > 0) {
        this.#isStale = false;
        if (this.#document.installs.size > 0) await this.#publish(listInstalls(this.#document));
      } else break;
    }
    // In the same turn as the last look, so that no call to wake falls between.
    this.#isRunning = false;
  }

  async #feedNewcomers(): Promise<void> {
    const newcomers = [...this.#newcomers];
    const document = this.#document;
    const isFed = await Promise.all(newcomers.map(async (voter) => !document || feed(voter, document)));

    newcomers.forEach((voter, index) => {
      // One that left meanwhile must not come in: nobody would ever hear its vote.
      if (!this.#newcomers.delete(voter) || !isFed[index]) return;
      this.#voters.add(voter);
      this.#options.onJoined(voter);
    });
  }

  async #publish(update: Update): Promise<void> {
    const startMs = this.#options.clock.monotonicMs();
    const voters = [...this.#voters];
    const base = this.#document ?? EMPTY_DOCUMENT;
    const [document, ...votes] = await Promise.all([
      inSlices(applyUpdate(base, update)),
      ...voters.map((voter) => voter.prepare(update)),
    ]);
    const problems = votes.flatMap((vote) => (vote.isGone ? [] : vote.problems));
    const willing = voters.filter((_, index) => votes[index]?.isGone === false);
    for (const voter of voters) if (!willing.includes(voter)) this.#voters.delete(voter);

    if (problems.length > 0) return this.#refuse(update, willing, dropRepeats(problems));
    if (willing.length < voters.length) this.#fatalTries++;
    if (this.#fatalTries >= MAX_FATAL_TRIES) return this.#refuse(update, willing, [FATAL_PROBLEM]);
    if (willing.length === 0) return;

    await Promise.all(willing.map((voter) => voter.commit(update.revision)));
    this.#document = document;
    // An offer that came meanwhile was merged into what is in force now; its changes are whole either way.
    if (this.#pending === update) this.#pending = undefined;
    this.#options.onCommitted(document, update, this.#options.clock.monotonicMs() - startMs);
  }

  #refuse(update: Update, willing: readonly Voter[], problems: readonly Problem[]): void {
    for (const voter of willing) voter.discard(update.revision);
    // A newer offer has come meanwhile: it speaks for itself.
    if (this.#pending !== update) return;
    const at = new Date(this.#options.clock.wallMs()).toISOString();
    this.#refusal = { revision: update.revision, problems: problems.slice(0, MAX_PROBLEMS), at };
    this.#options.onRefused(this.#refusal);
  }
}

/** Most problems kept of one refusal; the row that reports it is read often. */
const MAX_PROBLEMS = 100;

const FATAL_PROBLEM: Problem = {
  pointer: '',
  code: 'WORKER_DIED',
  message: 'expected workers to survive preparing this revision; they died or did not answer',
};

async function feed(voter: Voter, document: DocumentState): Promise<boolean> {
  const vote = await voter.prepare({ revision: document.revision, isReset: true, changes: listChanges(document) });
  if (vote.isGone) return false;
  if (vote.problems.length > 0) {
    const [first] = vote.problems;
    voter.replace(`it refused the revision in force: ${first?.pointer}: ${first?.message}`);
    return false;
  }
  await voter.commit(document.revision);
  return true;
}

/** Joins two updates in a row into one: of two changes to an entity the later stands. */
export function mergeUpdates(first: Update, second: Update): Update {
  if (second.isReset) return second;
  const later = new Set(second.changes.map(({ kind, id }) => `${kind} ${id}`));
  const kept = first.changes.filter(({ kind, id }) => !later.has(`${kind} ${id}`));
  return { revision: second.revision, isReset: first.isReset, changes: [...kept, ...second.changes] };
}

function listInstalls({ revision, installs }: DocumentState): Update {
  const changes = Array.from(installs, ([id, after]) => ({ kind: 'install', id, after }) as const);
  return { revision, isReset: false, changes };
}

function dropRepeats(problems: readonly Problem[]): readonly Problem[] {
  return [...new Map(problems.map((problem) => [`${problem.pointer} ${problem.message}`, problem])).values()];
}
