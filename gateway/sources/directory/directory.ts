// The node's credentials directory, in the keeper: knows all consumers and credentials, or those lately asked for.
// Must not call a credential absent unless Postgres is in reach to say so, and must not write an open secret anywhere.
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Change, Update } from '../../core/model.ts';
import type { Clock, Identity, Logger } from '../../core/plugin.ts';
import { createLastGood, type LastGood } from '../last-good.ts';
import type { PostgresSource } from '../postgres/source.ts';
import { Absences } from './absences.ts';
import { KnownIdentities } from './known-identities.ts';
import {
  type CredentialName,
  type DirectoryAnswer,
  type DirectoryMessage,
  type DirectoryQuestion,
  MAX_LOOKUP_LENGTH,
  nameKey,
} from './messages.ts';

/** Describes `createDirectory`. */
export interface DirectoryOptions {
  /** Reads from Postgres; rejects while that is out of reach. */
  readonly reader: Pick<PostgresSource, 'findCredential' | 'readIdentities'>;
  /** Opens a sealed secret. @throws Error when it was sealed with another key. */
  readonly openSecret: (sealed: string) => string;
  /** Where the copy on disk is kept; none when absent. Secrets stay sealed in it. */
  readonly path?: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Hands a message to a worker. Must not throw. */
  readonly send: (workerId: number, message: DirectoryMessage) => void;
  /** With more credentials than this, only those asked for are kept, as many as this. Default 200 000. */
  readonly maxCredentials?: number;
}

/** Is the answer of the directory. `unavailable`: nobody can say right now. */
export type Finding = Identity | 'absent' | 'unavailable';

/** Is the directory of a node. Give it every update and connection event of the source, before workers hear of them. */
export interface Directory {
  /** Reads the copy on disk, for as long as Postgres is out of reach. Never rejects. */
  load(): Promise<void>;
  /** Takes an update of the source: what it changes is true for all workers from then on. Resolves when the disk has it too. */
  apply(update: Update): Promise<void>;
  setConnected(isConnected: boolean): void;
  /** Finds who owns a credential; secrets in it are open. Never rejects. */
  find(type: string, lookup: string): Promise<Finding>;
  onMessage(workerId: number, message: DirectoryQuestion): void;
  workerGone(workerId: number): void;
  /** Writes what is known to disk. */
  close(): Promise<void>;
}

const MAX_CREDENTIALS = 200_000;

/** Different credentials that may wait for Postgres at once. */
const MAX_PENDING = 10_000;

/** A change that comes while Postgres is asked makes the answer doubtful; so often it is asked again. */
const MAX_ASKS = 3;
const PRELOAD_RETRY_MS = 1_000;

/** A worker forgets everything rather than so many one by one. */
const MAX_FORGET = 1_000;
const LOAD_SLICE = 2_000;

/** Builds a directory that knows nothing yet. */
export function createDirectory(options: DirectoryOptions): Directory {
  return new NodeDirectory(options);
}

class NodeDirectory implements Directory {
  readonly #options: DirectoryOptions;
  readonly #maxCredentials: number;
  readonly #copies: LastGood | undefined;
  readonly #absences: Absences;
  readonly #workers = new Set<number>();
  readonly #pending = new Map<string, Promise<Finding>>();
  #known: KnownIdentities;
  #isConnected = false;
  /** What was learnt in an earlier epoch may have been revoked unheard; it serves only while nobody can be asked. */
  #epoch = 1;
  #changeCount = 0;
  #revision = 0;
  #isPreloading = false;
  #isTooBig = false;
  /** Updates that came while everything was being read. */
  #missed: Update[] = [];
  #isClosed = false;

  constructor(options: DirectoryOptions) {
    this.#options = options;
    this.#maxCredentials = options.maxCredentials ?? MAX_CREDENTIALS;
    this.#known = new KnownIdentities(this.#maxCredentials);
    this.#absences = new Absences(options.clock);
    const { path, log } = options;
    this.#copies = path === undefined ? undefined : createLastGood({ path, log });
  }

  async load(): Promise<void> {
    const copy = await this.#copies?.load();
    if (!copy) return;
    const { revision, changes } = copy.update;
    const known = new KnownIdentities(this.#maxCredentials);
    for (const [index, change] of changes.entries()) {
      if (index % LOAD_SLICE === LOAD_SLICE - 1) await nextTurn();
      known.take(change, 0);
    }
    // What Postgres has told meanwhile is newer, and may have revoked some of it.
    if (this.#changeCount > 0) return;
    this.#known = known;
    this.#options.log.info('credentials read from disk', { credentials: known.size, revision });
  }

  apply(update: Update): Promise<void> {
    this.#revision = update.revision;
    if (this.#isPreloading) this.#missed.push(update);
    if (update.isReset) {
      this.#known.isComplete = false;
      this.#isTooBig = false;
      this.#epoch += 1;
      void this.#changed();
      this.#broadcast({ type: 'directory', forget: { isAll: true } });
      this.#preload();
      return Promise.resolve();
    }
    const changes = update.changes.filter(({ kind }) => kind === 'consumer' || kind === 'credential');
    if (changes.length === 0) return Promise.resolve();
    this.#known.apply(changes, this.#epoch);
    this.#tellWorkers(changes);
    return this.#changed(changes);
  }

  setConnected(isConnected: boolean): void {
    this.#isConnected = isConnected;
    if (isConnected) this.#preload();
  }

  async find(type: string, lookup: string): Promise<Finding> {
    if (lookup.length > MAX_LOOKUP_LENGTH) return 'absent';
    const found = this.#findKnown([type, lookup]) ?? (await this.#ask([type, lookup]));
    return typeof found === 'string' ? found : this.#open(found);
  }

  onMessage(workerId: number, { asks }: DirectoryQuestion): void {
    // Only who has asked can know anything that it must forget one day.
    this.#workers.add(workerId);
    const now: DirectoryAnswer[] = [];
    for (const name of asks) {
      const found = name[1].length > MAX_LOOKUP_LENGTH ? 'absent' : this.#findKnown(name);
      if (found !== undefined) now.push({ name, result: typeof found === 'string' ? found : this.#open(found) });
      else void this.#answerLater(workerId, name);
    }
    if (now.length > 0) this.#options.send(workerId, { type: 'directory', answers: now });
  }

  workerGone(workerId: number): void {
    this.#workers.delete(workerId);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#copies?.flush();
  }

  async #answerLater(workerId: number, name: CredentialName): Promise<void> {
    const found = await this.#ask(name);
    const result = typeof found === 'string' ? found : this.#open(found);
    this.#options.send(workerId, { type: 'directory', answers: [{ name, result }] });
  }

  /** Answers from memory; undefined when Postgres must be asked. */
  #findKnown(name: CredentialName): Finding | undefined {
    const entry = this.#known.find(...name);
    if (!this.#isConnected) return entry ? entry.identity : 'unavailable';
    if (entry?.epoch === this.#epoch) return entry.identity;
    return this.#known.isComplete || this.#absences.has(nameKey(name)) ? 'absent' : undefined;
  }

  #ask(name: CredentialName): Promise<Finding> {
    const key = nameKey(name);
    const pending = this.#pending.get(key);
    if (pending) return pending;
    if (this.#pending.size >= MAX_PENDING) return Promise.resolve('unavailable');
    const asked = this.#askPostgres(key, name).finally(() => this.#pending.delete(key));
    this.#pending.set(key, asked);
    return asked;
  }

  async #askPostgres(key: string, [type, lookup]: CredentialName): Promise<Finding> {
    for (let asks = 0; asks < MAX_ASKS; asks += 1) {
      const changeCount = this.#changeCount;
      try {
        const identity = await this.#options.reader.findCredential(type, lookup);
        // Read before a change and kept after it, a revoked credential would work for ever.
        if (changeCount !== this.#changeCount) continue;
        if (identity) this.#learn(identity);
        else this.#absences.add(key);
        return identity ?? 'absent';
      } catch {
        // The source tells that it is out of reach a moment later; until then what is known is all there is.
        return this.#known.find(type, lookup)?.identity ?? 'unavailable';
      }
    }
    return 'unavailable';
  }

  #learn(identity: Identity): void {
    this.#known.learn(identity, this.#epoch);
    void this.#save();
  }

  #changed(changes?: readonly Change[]): Promise<void> {
    this.#changeCount += 1;
    this.#absences.clear();
    return this.#save(changes);
  }

  #tellWorkers(changes: readonly Change[]): void {
    const idsOf = (kind: Change['kind']): string[] => changes.filter((each) => each.kind === kind).map(({ id }) => id);
    const forget =
      changes.length > MAX_FORGET
        ? ({ isAll: true } as const)
        : ({ isAll: false, consumers: idsOf('consumer'), credentials: idsOf('credential') } as const);
    this.#broadcast({ type: 'directory', forget });
  }

  #broadcast(message: DirectoryMessage): void {
    for (const workerId of this.#workers) this.#options.send(workerId, message);
  }

  #preload(): void {
    if (this.#known.isComplete || this.#isTooBig || this.#isPreloading || !this.#isConnected || this.#isClosed) return;
    this.#isPreloading = true;
    this.#missed = [];
    void this.#readAll()
      .catch(async (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        this.#options.log.warn('reading all credentials failed; they are asked for one by one', { reason });
        await delay(PRELOAD_RETRY_MS, undefined, { ref: false });
        return true;
      })
      .then((isToRepeat) => {
        this.#isPreloading = false;
        if (isToRepeat) this.#preload();
      });
  }

  /** Reads everything into a new table and puts it in force. Gives true when it must be read again. */
  async #readAll(): Promise<boolean> {
    const known = new KnownIdentities(this.#maxCredentials);
    let revision = 0;
    const isRead = await this.#options.reader.readIdentities({
      begin: (at, credentials) => {
        revision = at;
        return credentials < this.#maxCredentials;
      },
      take: (page) => {
        for (const change of page) known.take(change, this.#epoch);
      },
    });
    if (this.#missed.some((update) => update.isReset)) return true;
    known.isComplete = isRead;
    this.#isTooBig = !isRead;
    for (const update of this.#missed) if (update.revision > revision) known.apply(update.changes, this.#epoch);
    // Also when it was too big: what was known before the reset may have been revoked since.
    this.#known = known;
    void this.#changed();
    this.#options.log.info(
      isRead ? 'all credentials are known' : 'too many credentials to know all: each is asked for',
      {
        credentials: known.size,
        revision,
      },
    );
    return false;
  }

  #open(identity: Identity): Finding {
    const { secret } = identity.credential.data;
    if (typeof secret !== 'string') return identity;
    try {
      const data = { ...identity.credential.data, secret: this.#options.openSecret(secret) };
      return { ...identity, credential: { ...identity.credential, data } };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.error('a credential cannot be used', { credentialId: identity.credential.id, reason });
      return 'unavailable';
    }
  }

  #save(changes?: readonly Change[]): Promise<void> {
    const [known, revision] = [this.#known, this.#revision];
    const update = changes && { revision, isReset: false, changes };
    return this.#copies?.save(revision, () => known.list(), update) ?? Promise.resolve();
  }
}
