// Gives each suite a migrated database of its own, in one Postgres that the whole mocha run shares.
// Must not be imported outside tests.
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../cli/postgres/embedded-postgres.ts';
import type { Logger } from '../../../gateway/core/plugin.ts';
import { migrateUp } from '../../../migrations/migrate.ts';

/** Is a database that one suite owns. */
export interface TestDatabase {
  readonly url: string;
  /** Drops it, closing whatever is still connected. */
  drop(): Promise<void>;
}

/** Drops every line; for code under test that wants a log. */
export const silentLog: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Server {
  /** URL of the database from which others are made and dropped. */
  readonly url: string;
  /** Name of the migrated database that the others are copies of. */
  readonly template: string;
  stop(): Promise<void>;
}

let server: Promise<Server> | undefined;

/** Makes a migrated database; takes a few dozen milliseconds, and a second more for the first of the run. */
export async function createDatabase(): Promise<TestDatabase> {
  server ??= startServer();
  const { url, template } = await server;
  const name = `sallyport_test_${randomBytes(6).toString('hex')}`;
  await runSql(url, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return {
    url: withDatabase(url, name),
    drop: () => runSql(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** Gives the URL of a database that was never migrated. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  server ??= startServer();
  const { url } = await server;
  const name = `sallyport_test_${randomBytes(6).toString('hex')}`;
  await runSql(url, `CREATE DATABASE ${name} TEMPLATE template0`);
  return {
    url: withDatabase(url, name),
    drop: () => runSql(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}

/** Runs SQL over a connection of its own. */
export async function runSql(databaseUrl: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

async function startServer(): Promise<Server> {
  const external = process.env['DATABASE_URL'];
  const embedded = external ? undefined : await startEmbedded();
  const url = external ?? embedded?.postgres.databaseUrl ?? '';
  const template = `sallyport_template_${randomBytes(6).toString('hex')}`;
  await runSql(url, `CREATE DATABASE ${template} TEMPLATE template0`);
  await migrateUp(withDatabase(url, template));
  return {
    url,
    template,
    async stop() {
      if (embedded) await embedded.stop();
      else await runSql(url, `DROP DATABASE ${template}`);
    },
  };
}

async function startEmbedded(): Promise<{ postgres: EmbeddedPostgres; stop(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
  // Nothing here outlives the run, so nothing need reach the disk.
  const settings = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' };
  const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog, settings });
  // A run that is interrupted never gets to the hook below, and the server does not hear Ctrl-C.
  const killServer = (): void => {
    process.kill(postgres.pid, 'SIGQUIT');
    rmSync(dataDir, { recursive: true, force: true });
  };
  const exit = (): never => process.exit(1);
  process.once('exit', killServer);
  process.once('SIGTERM', exit);
  return {
    postgres,
    async stop() {
      process.off('exit', killServer);
      process.off('SIGTERM', exit);
      await postgres.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function withDatabase(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

// Outside any describe this is a hook of the whole run. `after` is absent when a script imports this file.
if (typeof after === 'function') {
  after('stop the shared Postgres', async () => {
    await (await server)?.stop();
    server = undefined;
  });
}
