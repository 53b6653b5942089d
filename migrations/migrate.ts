// Brings a database to the newest schema, and back one step, one process at a time.
// Must not hold SQL of the schema: that is in the dated files beside it, which are never edited after release.
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import knex, { type Knex } from 'knex';
import pg from 'pg';
import type { Logger } from '../gateway/core/plugin.ts';

/** Two keys of the advisory lock: 'sall', 'migr' in ASCII. Any number does, as long as it never changes. */
const LOCK_KEYS = [0x73616c6c, 0x6d696772] as const;

/** Longest wait for another node's migration, in milliseconds. A migration that takes longer is one to watch anyway. */
const LOCK_WAIT_MS = 120_000;

const CONNECT_TIMEOUT_MS = 10_000;

/** Oldest server that has what the SQL uses, as in `server_version_num`. */
const MIN_SERVER_VERSION = 140_000;

/** `lock_not_available`: what lock_timeout raises. @see PostgreSQL, Appendix A */
const LOCK_NOT_AVAILABLE = '55P03';

const MIGRATION_FILE = /^(\d{8}T\d{4}_[a-z0-9_]+)\.js$/;

interface MigrationFile {
  readonly name: string;
  readonly url: string;
}

// knex's own loader would take migrate.js and the emitted .d.ts for migrations (knex issue 4517).
const migrationSource: Knex.MigrationSource<MigrationFile> = {
  async getMigrations() {
    const folder = dirname(fileURLToPath(import.meta.url));
    const names = (await readdir(folder)).flatMap((file) => MIGRATION_FILE.exec(file)?.[1] ?? []).sort();
    return names.map((name) => ({ name, url: pathToFileURL(join(folder, `${name}.js`)).href }));
  },
  getMigrationName: (migration) => migration.name,
  getMigration: (migration) => import(migration.url),
};

/**
 * Runs every migration that the database lacks and gives their names; none when it is up to date.
 * Several nodes may call it at once: one migrates, the others wait for it.
 * @throws Error when the server is older than 14, or another migration holds the lock for two minutes.
 */
export async function migrateUp(databaseUrl: string, log?: Logger): Promise<readonly string[]> {
  const names = await withLock(databaseUrl, log, async (database) => {
    const [, applied] = await database.migrate.latest();
    return applied;
  });
  if (names.length > 0) log?.info('database migrated', { migrations: names });
  return names;
}

/** Takes back the newest migration and gives its name; an empty list when none is left. @throws Error as `migrateUp`. */
export async function migrateDown(databaseUrl: string, log?: Logger): Promise<readonly string[]> {
  const names = await withLock(databaseUrl, log, async (database) => {
    const [, undone] = await database.migrate.down();
    return undone;
  });
  if (names.length > 0) log?.info('migration taken back', { migrations: names });
  return names;
}

async function withLock(
  databaseUrl: string,
  log: Logger | undefined,
  migrate: (database: Knex) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  // The lock lives as long as this connection, so that a killed process leaves none behind.
  const client = new pg.Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  client.on('error', (error) => log?.warn('connection lost while migrating', { error: error.message }));
  await client.connect();
  try {
    await checkServer(client);
    await takeLock(client);
    return await runMigrations(databaseUrl, migrate);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number; text: string }>(
    "SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS text",
  );
  const server = rows[0];
  if (server && server.version < MIN_SERVER_VERSION) {
    throw new Error(`Postgres ${server.text} is too old: Sallyport needs 14 or newer`);
  }
}

async function takeLock(client: pg.Client): Promise<void> {
  await client.query(`SET lock_timeout = ${LOCK_WAIT_MS}`);
  try {
    await client.query('SELECT pg_advisory_lock($1, $2)', [...LOCK_KEYS]);
  } catch (error) {
    if ((error as { code?: unknown }).code !== LOCK_NOT_AVAILABLE) throw error;
    throw new Error(`another process has been migrating this database for ${LOCK_WAIT_MS / 1000} s; try again later`, {
      cause: error,
    });
  }
}

async function runMigrations(
  databaseUrl: string,
  migrate: (database: Knex) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  const database = knex.knex({
    client: 'pg',
    connection: { connectionString: databaseUrl, connectionTimeoutMillis: CONNECT_TIMEOUT_MS },
    pool: { min: 0, max: 2 },
    migrations: { migrationSource },
  });
  try {
    // A process killed amid a migration leaves knex's own lock row set for ever. We hold the real lock, so it is stale.
    if (await database.schema.hasTable('knex_migrations_lock')) await database.migrate.forceFreeMigrationsLock();
    return await migrate(database);
  } finally {
    await database.destroy();
  }
}
