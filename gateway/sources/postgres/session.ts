// Is one connection to Postgres that never hangs: what does not answer in time is torn down whole.
// Must not reconnect; its owner decides when.
import { Socket } from 'node:net';
import pg from 'pg';
import type { RunSql } from './document.ts';

/** Is an open connection. */
export interface Session {
  /** Runs a statement; statements of one session run one after another. Rejects when the session is lost. */
  readonly run: RunSql;
  /** Resolves with the reason when the connection is gone. */
  readonly lost: Promise<string>;
  /** Runs `work` in one read-only transaction that sees one state of the database. */
  readSnapshot<Result>(work: (run: RunSql) => Promise<Result>): Promise<Result>;
  /** Says goodbye, or cuts the line when the server does not listen. */
  close(): Promise<void>;
}

/** Says what to connect to and what to listen for. */
export interface SessionOptions {
  readonly databaseUrl: string;
  /** Shows in pg_stat_activity. */
  readonly name: string;
  readonly channels?: readonly string[];
  readonly onNotify?: () => void;
  /** Longest wait for the answer to one statement, in milliseconds. Default 10 000. */
  readonly answerTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 5_000;

const ANSWER_TIMEOUT_MS = 10_000;

/** The server gives up a little earlier than we do, so that no work goes on unheard. */
const SERVER_SHARE = 0.9;
const CLOSE_TIMEOUT_MS = 1_000;
const KEEP_ALIVE_MS = 5_000;

/** Opens a session. @throws Error when that takes more than five seconds, or the server refuses. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { answerTimeoutMs = ANSWER_TIMEOUT_MS } = options;
  // A socket of our own can be destroyed at any moment; the client alone waits for a server that may be gone.
  const socket = new Socket();
  const client = new pg.Client({
    connectionString: options.databaseUrl,
    application_name: options.name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    statement_timeout: Math.round(answerTimeoutMs * SERVER_SHARE),
    idle_in_transaction_session_timeout: ANSWER_TIMEOUT_MS,
    stream: () => socket,
  });
  const lost = new Promise<string>((resolve) => {
    client.on('error', (error) => resolve(error.message));
    client.on('end', () => resolve('the connection was closed'));
  });
  client.on('notification', () => options.onNotify?.());

  const run = buildRun(client, socket, answerTimeoutMs);
  try {
    await within(client.connect(), CONNECT_TIMEOUT_MS, socket);
    for (const channel of options.channels ?? []) await run(`LISTEN ${client.escapeIdentifier(channel)}`);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  return {
    run,
    lost,
    async readSnapshot(work) {
      await run('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
      try {
        return await work(run);
      } finally {
        // Fails only when the session is lost, and then so has `work`.
        await run('COMMIT').catch(() => undefined);
      }
    },
    async close() {
      await within(client.end(), CLOSE_TIMEOUT_MS, socket).catch(() => undefined);
      socket.destroy();
    },
  };
}

function buildRun(client: pg.Client, socket: Socket, answerTimeoutMs: number): RunSql {
  return async <Row>(sql: string, values: readonly unknown[] = []) => {
    const answer = client.query({ text: sql, values: [...values] });
    return (await within(answer, answerTimeoutMs, socket)).rows as readonly Row[];
  };
}

/** Waits for an answer; past `timeoutMs` the line is cut, and everything that waits on it fails. */
async function within<Result>(answer: Promise<Result>, timeoutMs: number, socket: Socket): Promise<Result> {
  const timer = setTimeout(() => {
    socket.destroy(new Error(`Postgres did not answer in ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}
