// A few connections for statements that somebody waits for: opened when needed, given up when idle.
// Must not let a statement wait longer than a request may.
import pg from 'pg';
import type { StatementPool } from '../../limits/shared/postgres.ts';

const MAX_CONNECTIONS = 4;
const CONNECT_TIMEOUT_MS = 400;
const ANSWER_TIMEOUT_MS = 200;
const IDLE_MS = 30_000;

/** Makes a pool; nothing is connected before the first statement. `name` shows in pg_stat_activity. */
export function createStatementPool(databaseUrl: string, name: string): StatementPool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    application_name: name,
    max: MAX_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    statement_timeout: ANSWER_TIMEOUT_MS,
    idleTimeoutMillis: IDLE_MS,
    allowExitOnIdle: true,
  });
  // A connection that breaks while idle leaves the pool; the next statement opens another.
  pool.on('error', () => undefined);
  return {
    query: ({ text, values = [] }) => pool.query({ text, values: [...values] }),
    close: () => pool.end(),
  };
}
