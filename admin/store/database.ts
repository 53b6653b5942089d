// The connection pool of the admin service: every wait is bounded, and a lost database is told apart from other faults.
// Must not hold a statement about a table.
import type { Socket } from 'node:net';
import knex, { type Knex } from 'knex';

export type { Knex } from 'knex';

import { AdminError } from '../errors.ts';

/** Longest wait for a connection, and for the answer to an ordinary statement, in milliseconds. */
export const DATABASE_TIMEOUT_MS = 2_000;

/** Longest wait for a statement that writes many rows or queues behind another admin's write, in milliseconds. */
export const WRITE_TIMEOUT_MS = 15_000;

const MAX_CONNECTIONS = 10;
const LOST: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'ENOENT',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  '25006', // read only: a standby
  '55P03', // lock not available
]);

/** Classes of faults that lie with the database and not with what it was asked: connection, resources, operator, system. */
const LOST_CLASSES = ['08', '53', '57', '58'];

/** Runs statements. Both ways throw DATABASE_UNAVAILABLE when the database cannot be reached. */
export interface Database {
  run<T>(work: (knex: Knex) => Promise<T>): Promise<T>;
  /** Commits when `work` resolves, rolls back when it throws or asks for it. */
  transaction<T>(work: (transaction: Knex.Transaction) => Promise<{ value: T; isKept: boolean }>): Promise<T>;
  close(): Promise<void>;
}

/** Opens the pool; connections are made when needed, so a database that is down does not stop the start. */
export function openDatabase(url: string): Database {
  const pool = knex({
    client: 'pg',
    connection: {
      connectionString: url,
      connectionTimeoutMillis: DATABASE_TIMEOUT_MS,
      application_name: 'sallyport-admin',
    },
    acquireConnectionTimeout: DATABASE_TIMEOUT_MS,
    pool: { min: 0, max: MAX_CONNECTIONS, afterCreate: bindStatements },
    // Else the message of a failed statement, and with it our log, would hold the values: hashes, sealed secrets.
    compileSqlOnError: false,
    // Knex would write failed statements, with their values, to the console.
    log: { warn() {}, error() {}, debug() {}, deprecate() {} },
  });
  return {
    run: (work) => translate(() => work(pool)),
    transaction: (work) => translate(() => runTransaction(pool, work)),
    close: () => pool.destroy(),
  };
}

async function runTransaction<T>(
  pool: Knex,
  work: (transaction: Knex.Transaction) => Promise<{ value: T; isKept: boolean }>,
): Promise<T> {
  const transaction = await pool.transaction();
  try {
    const { value, isKept } = await work(transaction);
    await (isKept ? transaction.commit() : transaction.rollback());
    return value;
  } catch (error) {
    // The first failure is the one to tell; on a lost connection the database rolls back by itself.
    if (!transaction.isCompleted()) await transaction.rollback().catch(() => undefined);
    throw error;
  }
}

async function translate<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw readFailure(error) ?? error;
  }
}

/** Gives the coded error for a failure of the database, or undefined when it is none. */
function readFailure(error: unknown): AdminError | undefined {
  if (!(error instanceof Error) || error instanceof AdminError) return undefined;
  const { code } = error as { readonly code?: unknown };
  const state = typeof code === 'string' ? code : '';
  const isLost =
    LOST.has(state) ||
    LOST_CLASSES.some((prefix) => /^[0-9A-Z]{5}$/.test(state) && state.startsWith(prefix)) ||
    error.name === 'KnexTimeoutError' ||
    /connection (terminated|ended)|not queryable|timeout/i.test(error.message);
  if (isLost) {
    return new AdminError('DATABASE_UNAVAILABLE', 'The database cannot be reached; try again.', {
      cause: error,
      headers: { 'Retry-After': '1' },
    });
  }
  if (state === '23505' || state === '23503') {
    return new AdminError('CONFLICT', 'Another entity holds the same name or key, or refers to this one.', {
      cause: error,
    });
  }
  return undefined;
}

interface Connection {
  query(config: Readonly<Record<string, unknown>>, callback: (error: unknown, result: unknown) => void): void;
  readonly connection: { readonly stream: Socket };
}

/**
 * Bounds every statement of a connection by breaking the connection. Giving up on the answer alone would hand the
 * connection, still busy and perhaps inside a transaction, to the next request.
 */
function bindStatements(
  connection: Connection,
  done: (error: Error | undefined, connection: Connection) => void,
): void {
  const send = connection.query.bind(connection);
  connection.query = (config, callback) => {
    const { timeoutMs = DATABASE_TIMEOUT_MS } = config;
    const timer = setTimeout(() => {
      connection.connection.stream.destroy(Object.assign(new Error('statement timeout'), { code: 'ETIMEDOUT' }));
    }, Number(timeoutMs));
    send(config, (error, result) => {
      clearTimeout(timer);
      callback(error, result);
    });
  };
  done(undefined, connection);
}
