// One worker process as the keeper sees it: what it was told, what it answered, when it was last heard.
// Must not decide about respawning: that is fleet.ts.
import type { Worker } from 'node:cluster';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Update } from '../../../core/model.ts';
import type { Clock, Logger } from '../../../core/ports.ts';
import type { GateNote } from '../../../sandbox/isolate/gate.ts';
import { cutUpdate, type ToKeeper, type ToWorker } from '../messages.ts';
import type { Vote, Voter } from './publisher.ts';

/** A worker that has not prepared a revision by then is held to be stuck; ten thousand apis take under two seconds. */
const PREPARE_TIMEOUT_MS = 30_000;
/** To commit is to assign; a worker that has not done so by then has failed at it, and holds up every other. */
const COMMIT_TIMEOUT_MS = 5_000;
const GONE: Vote = { isGone: true };

/**
 * Says where a worker stands: it loads its code, waits for the document, has it, was told to listen, takes traffic,
 * finishes, has ended.
 */
export type MemberState = 'booting' | 'waiting' | 'joined' | 'opening' | 'serving' | 'draining' | 'gone';

/** Is what a member is made of. */
export interface MemberOptions {
  readonly slot: number;
  readonly worker: Worker;
  readonly log: Logger;
  readonly clock: Clock;
  /** Opens what workers need open; nobody else does. */
  readonly unseal: (update: Update) => Update;
}

/** Owns the conversation with one worker process. */
export class Member implements Voter {
  readonly slot: number;
  readonly worker: Worker;
  state: MemberState = 'booting';
  revision = -1;
  loopDelayMs = 0;
  rssBytes = 0;
  openIsolates = 0;
  /** Is ended because nothing was heard of it. */
  isSilent = false;
  /** Has been told that another takes its place; it goes on serving until that one does. */
  isAiling = false;
  lastHeardMs: number;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #unseal: (update: Update) => Update;
  #vote: ((vote: Vote) => void) | undefined;
  #committed: (() => void) | undefined;

  constructor(options: MemberOptions) {
    this.slot = options.slot;
    this.worker = options.worker;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#unseal = options.unseal;
    this.lastHeardMs = options.clock.monotonicMs();
  }

  /** Process id; 0 when the process could not be made. */
  get pid(): number {
    return this.worker.process.pid ?? 0;
  }

  /** Sends a message; a worker that is going away is not an error. */
  send(message: ToWorker): void {
    if (!this.worker.isConnected()) return;
    // The callback keeps a broken channel from throwing: the exit event tells the same.
    this.worker.send(message, () => undefined);
  }

  /** Takes a message: answers settle what was asked, beats are kept. */
  hear(message: ToKeeper): void {
    this.lastHeardMs = this.#clock.monotonicMs();
    if (message.channel === 'prepared') this.#settleVote({ isGone: false, problems: message.problems });
    else if (message.channel === 'committed') this.#settleCommit(message.revision);
    else if (message.channel === 'isolates') this.openIsolates = (message.body as GateNote).open;
    else if (message.channel === 'beat') {
      this.loopDelayMs = message.loopDelayMs;
      this.rssBytes = message.rssBytes;
    }
  }

  async prepare(update: Update): Promise<Vote> {
    if (this.state === 'gone') return GONE;
    const answer = new Promise<Vote>((resolve) => {
      this.#vote = resolve;
    });
    const timer = setTimeout(() => this.replace('it did not prepare a revision in time'), PREPARE_TIMEOUT_MS);
    for (const part of cutUpdate(this.#unseal(update))) {
      this.send(part);
      if (!part.isLast) await nextTurn();
    }
    return answer.finally(() => clearTimeout(timer));
  }

  commit(revision: number): Promise<void> {
    if (this.state === 'gone') return Promise.resolve();
    const done = new Promise<void>((resolve) => {
      this.#committed = resolve;
    });
    const timer = setTimeout(() => this.replace('it did not commit a revision in time'), COMMIT_TIMEOUT_MS);
    this.send({ channel: 'commit', revision });
    return done.finally(() => clearTimeout(timer));
  }

  discard(revision: number): void {
    this.send({ channel: 'discard', revision });
  }

  replace(reason: string): void {
    this.#log.error('a worker is ended', { slot: this.slot, workerPid: this.pid, reason });
    this.worker.process.kill('SIGKILL');
  }

  /** Ends every conversation: the process is gone. */
  leave(): void {
    this.state = 'gone';
    this.#settleVote(GONE);
    this.#committed?.();
  }

  #settleVote(vote: Vote): void {
    this.#vote?.(vote);
    this.#vote = undefined;
  }

  #settleCommit(revision: number): void {
    this.revision = revision;
    this.#committed?.();
    this.#committed = undefined;
  }
}
