// Counts that all nodes share, in the Postgres of the control plane: for who has no Redis and a few hundred requests a second.
// Must run in the keeper alone, and must not hold up a request for a database that is away.
import { RateLimiterPostgres } from 'rate-limiter-flexible';
import type { Clock, Logger } from '../../core/plugin.ts';
import { createSharedStore, describeLimiter, type SharedStore } from './store.ts';

/** A migration makes it; names, order and types of its columns are what the library expects. */
const TABLE = 'shared_limits';

/** After a failure nobody asks for so long: a connection that cannot be opened must not be waited for by every request. */
const REST_MS = 1_000;

/** Windows that ended are of no use; whichever node comes first takes them away. */
const SWEEP_INTERVAL_MS = 300_000;

/** Runs statements on a few connections that it opens when they are needed. Rejects soon when it cannot. */
export interface StatementPool {
  query(statement: { readonly text: string; readonly values?: readonly unknown[] }): Promise<unknown>;
  close(): Promise<void>;
}

/** Describes `createPostgresStore`. */
export interface PostgresStoreOptions {
  readonly pool: StatementPool;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Makes the store; nothing is connected before the first take. Takes reject while the database is away. */
export function createPostgresStore({ pool, clock, log }: PostgresStoreOptions): SharedStore {
  const client = { query: guardOutages(pool, clock, log) };
  let sweep: NodeJS.Timeout | undefined;
  const startSweep = (): void => {
    sweep ??= setInterval(() => {
      const text = `DELETE FROM ${TABLE} WHERE expire < $1`;
      // What is not swept now is swept the next time.
      client.query({ text, values: [clock.wallMs()] }).catch(() => undefined);
    }, SWEEP_INTERVAL_MS).unref();
  };
  return createSharedStore(
    (name, window) => {
      startSweep();
      return new RateLimiterPostgres({
        ...describeLimiter(name, window),
        storeClient: client,
        storeType: 'pool',
        tableName: TABLE,
        tableCreated: true,
        clearExpiredByTimeout: false,
      });
    },
    async () => {
      clearInterval(sweep);
      await pool.close();
    },
  );
}

/** Fails at once for a while after a failure, and says once that the counts are out of reach and once that they are back. */
function guardOutages(pool: StatementPool, clock: Clock, log: Logger): StatementPool['query'] {
  let restUntilMs = 0;
  let isAway = false;
  return async (statement) => {
    if (clock.monotonicMs() < restUntilMs) throw new Error('Postgres did not answer a moment ago');
    try {
      const result = await pool.query(statement);
      if (isAway) log.info('Postgres counts again');
      isAway = false;
      return result;
    } catch (error) {
      restUntilMs = clock.monotonicMs() + REST_MS;
      if (!isAway) log.error('Postgres does not count: shared limits follow onStoreFailure', { error });
      isAway = true;
      throw error;
    }
  };
}
