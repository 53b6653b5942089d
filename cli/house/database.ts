// The database of `sallyport start`: the one at DATABASE_URL or an embedded one, started, migrated and kept alive.
// Must not hold SQL.
import type { Logger } from '../../gateway/core/ports.ts';
import type { DataDir } from '../data-dir.ts';
import { CommandError } from '../output.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../postgres/embedded-postgres.ts';
import type { Settings } from '../settings.ts';
import { migrate } from './migrate-database.ts';
import { nextDelayMs } from './supervisor.ts';

/** How often the schema of a database that is away is seen to again. */
const RETRY_INTERVAL_MS = 2_000;

/** Is a database that was started. */
export interface StartedDatabase {
  readonly url: string;
  /** False when it does not answer yet: it is migrated as soon as it does. */
  readonly isReachable: boolean;
}

/** Is the database of the house. */
export interface HouseDatabase {
  readonly isEmbedded: boolean;
  /** Starts and migrates it. @throws CommandError in one line when that does not work and waiting would not help. */
  start(): Promise<StartedDatabase>;
  close(): Promise<void>;
  /** Ends an embedded one at once; it recovers at its next start. */
  kill(): void;
}

/** Gives the database; nothing runs before `start`. */
export function openDatabase(
  settings: Settings,
  parts: { readonly dataDir: DataDir; readonly log: Logger },
): HouseDatabase {
  const { databaseUrl } = settings;
  if (databaseUrl !== undefined) return new ForeignDatabase(databaseUrl, parts.log);
  return new EmbeddedDatabase(parts.dataDir.path, parts.log);
}

class ForeignDatabase implements HouseDatabase {
  readonly isEmbedded = false;
  readonly #url: string;
  readonly #log: Logger;
  #retry: NodeJS.Timeout | undefined;

  constructor(url: string, log: Logger) {
    this.#url = url;
    this.#log = log;
  }

  async start(): Promise<StartedDatabase> {
    const isReachable = await migrate(this.#url, this.#log);
    if (!isReachable) this.#retryLater();
    return { url: this.#url, isReachable };
  }

  async close(): Promise<void> {
    clearTimeout(this.#retry);
  }

  kill(): void {}

  /** A gateway serves its last good copy while the database is away; the schema is seen to when it is back. */
  #retryLater(): void {
    this.#retry = setTimeout(() => {
      migrate(this.#url, this.#log).then(
        (isReachable) => {
          if (!isReachable) this.#retryLater();
        },
        (error: Error) => this.#log.error(error.message),
      );
    }, RETRY_INTERVAL_MS);
  }
}

class EmbeddedDatabase implements HouseDatabase {
  readonly isEmbedded = true;
  readonly #dataDir: string;
  readonly #log: Logger;
  #running: Promise<EmbeddedPostgres> | undefined;
  #pid: number | undefined;
  #restart: NodeJS.Timeout | undefined;
  #isClosed = false;
  #delayMs = 0;

  constructor(dataDir: string, log: Logger) {
    this.#dataDir = dataDir;
    this.#log = log;
  }

  async start(): Promise<StartedDatabase> {
    const { databaseUrl } = await this.#launch(undefined).catch((error: Error) => {
      throw new CommandError(error.message);
    });
    return { url: databaseUrl, isReachable: await migrate(databaseUrl, this.#log) };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    const postgres = await this.#running?.catch(() => undefined);
    await postgres?.stop();
  }

  kill(): void {
    this.#isClosed = true;
    // SIGQUIT is Postgres's immediate shutdown: what is committed is safe in its log.
    if (this.#pid !== undefined) process.kill(this.#pid, 'SIGQUIT');
  }

  /** Restarts keep the port: the children know the URL. */
  #launch(port: number | undefined): Promise<EmbeddedPostgres> {
    const startedMs = performance.now();
    this.#running = startEmbeddedPostgres({
      dataDir: this.#dataDir,
      log: this.#log,
      ...(port === undefined ? {} : { port }),
      onExit: (reason) => this.#relaunch(port, reason, performance.now() - startedMs),
    }).then((postgres) => {
      port = postgres.port;
      this.#pid = postgres.pid;
      return postgres;
    });
    return this.#running;
  }

  #relaunch(port: number | undefined, reason: string, livedMs: number): void {
    this.#pid = undefined;
    if (this.#isClosed) return;
    this.#delayMs = nextDelayMs(this.#delayMs, livedMs);
    this.#log.error('the embedded Postgres ended and is started again', { reason, inMs: this.#delayMs });
    this.#restart = setTimeout(() => {
      this.#launch(port).catch((error: Error) => this.#relaunch(port, error.message, 0));
    }, this.#delayMs);
  }
}
