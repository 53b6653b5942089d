// Follows the configuration in Postgres: delivers the document, then every change, over outages and failovers.
// Must not compile, keep or judge what it delivers.
import { setTimeout as delay } from 'node:timers/promises';
import type { Update } from '../../core/model.ts';
import type { Clock, Logger } from '../../core/ports.ts';
import type { RecordedRequest } from '../../core/shadow/recorded.ts';
import { COMPILED_KINDS, type RunSql, readChangesSinceWith, readDocumentWith } from './document.ts';
import { findCredential, type IdentitySink, readIdentities, type StoredIdentity } from './identities.ts';
import { type NodeRow, removeNode, writeNode } from './nodes.ts';
import { type FetchedPackage, type PackageName, readPackage, readTrust } from './packages.ts';
import { writeRecorded } from './recorded.ts';
import { openSession, type Session } from './session.ts';

/** Says where to read and whom to tell. */
export interface PostgresSourceOptions {
  readonly databaseUrl: string;
  readonly log: Logger;
  readonly clock: Clock;
  /**
   * Takes each update, in order. One with `isReset` holds the apis, upstreams and bindings, and replaces them; consumers
   * and credentials come only as changes, and are to be read anew after a reset (`readIdentities`).
   */
  onUpdate(update: Update): void;
  /** Takes the version of the index of plugins at every look, before the update; undefined = there is none. */
  onIndexVersion?(version: number | undefined): void;
  /** Hears when the database comes into reach, which is after its first answer, and when it is lost. */
  onConnection(isConnected: boolean): void;
  /** Time between two looks at the revision, which find what no notification told. Default 1000. */
  readonly pollMs?: number;
  /** A database that does not answer for so long is out of reach. Default 10 000. */
  readonly answerTimeoutMs?: number;
}

/** Is a running source. Calls reject while the database is out of reach; none waits for it. */
export interface PostgresSource {
  readonly isConnected: boolean;
  /** Wall-clock time when the newest revision was last known to be delivered; undefined before the first. */
  readonly currentAtMs: number | undefined;
  start(): void;
  stop(): Promise<void>;
  /** Writes this node's row and tells the control plane. */
  reportNode(row: NodeRow): Promise<void>;
  /** Takes this node's row away, because it ends. */
  removeNode(id: string): Promise<void>;
  /** Writes requests that were recorded. */
  recordRequests(requests: readonly RecordedRequest[]): Promise<void>;
  /** Finds a credential with its consumer, as stored. */
  findCredential(type: string, lookup: string): Promise<StoredIdentity | undefined>;
  /** Reads all consumers and credentials of one revision. Gives false when the sink does not want them. */
  readIdentities(sink: IdentitySink): Promise<boolean>;
  /** Reads a package; undefined when there is none with this digest. */
  readPackage(name: PackageName): Promise<FetchedPackage | undefined>;
  /** Reads the newest root and index; undefined while there is none. */
  readTrust(): ReturnType<typeof readTrust>;
}

const POLL_MS = 1_000;

/** The first try comes at once, because most losses are a restart; then about one a second, spread over all nodes. */
const FIRST_RETRY_MS = 100;
const RETRY_MS = 1_000;
const JITTER = 0.4;

const CHANNEL = 'sallyport_revision';

interface Standing {
  readonly revision: string;
  /** When the revision that we hold was made, as this database knows it. */
  readonly base_stamp: string | null;
  readonly index_version: string | null;
}

const SELECT_STANDING = `
  SELECT revision, (SELECT created_at::text FROM revisions WHERE number = $1) AS base_stamp,
    (SELECT max(version) FROM marketplace_index) AS index_version
  FROM publication`;

/** Builds a source; `start` begins to connect. */
export function createPostgresSource(options: PostgresSourceOptions): PostgresSource {
  return new Source(options);
}

class Source implements PostgresSource {
  isConnected = false;
  currentAtMs: number | undefined;
  readonly #options: PostgresSourceOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #calls: Session | undefined;
  #revision: number | undefined;
  #stamp: string | null = null;
  #wake: () => void = () => undefined;
  #isWoken = false;

  constructor(options: PostgresSourceOptions) {
    this.#options = options;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#notify();
    await this.#running;
  }

  async reportNode(row: NodeRow): Promise<void> {
    await writeNode(this.#useCalls(), row);
  }

  async removeNode(id: string): Promise<void> {
    await removeNode(this.#useCalls(), id);
  }

  async recordRequests(requests: readonly RecordedRequest[]): Promise<void> {
    await writeRecorded(this.#useCalls(), requests);
  }

  async findCredential(type: string, lookup: string): Promise<StoredIdentity | undefined> {
    return findCredential(this.#useCalls(), type, lookup);
  }

  async readIdentities(sink: IdentitySink): Promise<boolean> {
    return this.#apart('identities', (session) => session.readSnapshot((run) => readIdentities(run, sink)));
  }

  async readPackage(name: PackageName): Promise<FetchedPackage | undefined> {
    return this.#apart('packages', ({ run }) => readPackage(run, name));
  }

  async readTrust(): ReturnType<typeof readTrust> {
    return this.#apart('packages', ({ run }) => readTrust(run));
  }

  // A connection of its own: a read of many pages, or of megabytes, must hold up neither lookups nor the feed.
  async #apart<Result>(name: string, work: (session: Session) => Promise<Result>): Promise<Result> {
    const session = await openSession({ databaseUrl: this.#options.databaseUrl, name: `sallyport ${name}` });
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  }

  #useCalls(): RunSql {
    if (!this.#calls || !this.isConnected) throw new Error('the database is out of reach');
    return this.#calls.run;
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    let tries = 0;
    let lastReason = '';
    while (!this.#stopping.signal.aborted) {
      const reason = await this.#serve(() => {
        tries = 0;
        lastReason = '';
        log.info('following the configuration in Postgres', { revision: this.#revision });
      });
      this.#setConnected(false);
      if (this.#stopping.signal.aborted) return;
      // An outage is one line, not one a second.
      if (reason !== lastReason) log.warn('the database is out of reach', { reason });
      lastReason = reason;
      await this.#pause(tries === 0 ? FIRST_RETRY_MS : RETRY_MS);
      tries += 1;
    }
  }

  /** Connects and follows until the connection is lost; gives the reason. */
  async #serve(onLive: () => void): Promise<string> {
    const { databaseUrl, answerTimeoutMs } = this.#options;
    const common = { databaseUrl, ...(answerTimeoutMs === undefined ? {} : { answerTimeoutMs }) };
    const sessions: Session[] = [];
    try {
      const onNotify = (): void => this.#notify();
      const feed = await openSession({ ...common, name: 'sallyport feed', channels: [CHANNEL], onNotify });
      sessions.push(feed);
      const calls = await openSession({ ...common, name: 'sallyport calls' });
      sessions.push(calls);
      this.#calls = calls;
      const lost = Promise.race([feed.lost, calls.lost]);
      await this.#follow(feed, lost, onLive);
      return this.#stopping.signal.aborted ? 'stopped' : await lost;
    } catch (error) {
      return error instanceof Error ? error.message || error.name : String(error);
    } finally {
      this.#calls = undefined;
      this.#setConnected(false);
      await Promise.all(sessions.map((session) => session.close()));
    }
  }

  async #follow(feed: Session, lost: Promise<string>, onLive: () => void): Promise<void> {
    let isLost = false;
    void lost.then(() => {
      isLost = true;
      this.#setConnected(false);
      this.#notify();
    });
    while (!isLost && !this.#stopping.signal.aborted) {
      this.#isWoken = false;
      await this.#catchUp(feed);
      if (isLost) return;
      if (!this.isConnected) {
        this.#setConnected(true);
        onLive();
      }
      await this.#waitForNews();
    }
  }

  /** Asks for the revision, which also proves the line alive, and delivers what is new. */
  async #catchUp(feed: Session): Promise<void> {
    const [standing] = await feed.run<Standing>(SELECT_STANDING, [this.#revision ?? -1]);
    if (!standing) throw new Error('the database has no publication row: it was not migrated');
    // After a failover or a restore the same number can name another revision; its time tells.
    const isOtherHistory = this.#stamp !== null && standing.base_stamp !== null && standing.base_stamp !== this.#stamp;
    this.#stamp = standing.base_stamp ?? this.#stamp;
    const { index_version: indexVersion } = standing;
    this.#options.onIndexVersion?.(indexVersion === null ? undefined : Number(indexVersion));
    if (Number(standing.revision) !== this.#revision || isOtherHistory) {
      const update = await this.#read(feed, isOtherHistory);
      this.#revision = update.revision;
      this.#stamp = null;
      this.#options.onUpdate(update);
    }
    this.currentAtMs = this.#options.clock.wallMs();
  }

  async #read(feed: Session, isOtherHistory: boolean): Promise<Update> {
    if (this.#revision !== undefined && !isOtherHistory) {
      const update = await readChangesSinceWith(feed.run, this.#revision);
      if (update) return update;
    }
    const document = await feed.readSnapshot((run) => readDocumentWith(run, COMPILED_KINDS));
    this.#options.log.info('read the whole configuration', {
      revision: document.revision,
      entities: document.changes.length,
      before: this.#revision,
    });
    return { ...document, isReset: true };
  }

  #setConnected(isConnected: boolean): void {
    if (this.isConnected === isConnected) return;
    this.isConnected = isConnected;
    this.#options.onConnection(isConnected);
  }

  #notify(): void {
    this.#isWoken = true;
    this.#wake();
  }

  async #waitForNews(): Promise<void> {
    if (this.#isWoken) return;
    const timer = setTimeout(() => this.#wake(), this.#options.pollMs ?? POLL_MS);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    clearTimeout(timer);
  }

  async #pause(meanMs: number): Promise<void> {
    const ms = meanMs * (1 + JITTER * (2 * Math.random() - 1));
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
  }
}
