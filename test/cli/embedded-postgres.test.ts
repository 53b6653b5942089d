// Starts, kills and restarts the embedded Postgres in a private folder, as the account that runs the tests.
// Must not use the shared test server.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../cli/postgres/embedded-postgres.ts';
import { runSql, silentLog } from '../support/product/database.ts';

describe('embedded Postgres', () => {
  let dataDir: string;
  let running: EmbeddedPostgres[];

  before(async () => {
    // mkdtemp makes it 0700: as root, the account that runs the server cannot enter it.
    dataDir = await mkdtemp(join(tmpdir(), 'sallyport-pg-'));
  });

  beforeEach(() => {
    running = [];
  });

  afterEach(() => Promise.all(running.map((postgres) => postgres.stop())));

  after(() => rm(dataDir, { recursive: true, force: true }));

  async function start(): Promise<EmbeddedPostgres> {
    const postgres = await startEmbeddedPostgres({ dataDir, log: silentLog });
    running.push(postgres);
    return postgres;
  }

  it('keeps what was committed over a stop and a start', async () => {
    const first = await start();
    await runSql(first.databaseUrl, 'CREATE TABLE kept AS SELECT 7 AS number');
    await first.stop();

    const second = await start();

    assert.deepEqual(await query(second.databaseUrl, 'SELECT number FROM kept'), [{ number: 7 }]);
  });

  it('syncs what it acknowledges, listens on loopback alone, and lets nobody in without the password', async () => {
    const { databaseUrl } = await start();
    const open = new URL(databaseUrl);
    open.password = 'wrong';

    const settings = await query(
      databaseUrl,
      `SELECT name, setting FROM pg_settings
       WHERE name IN ('fsync', 'synchronous_commit', 'listen_addresses', 'unix_socket_directories') ORDER BY name`,
    );

    assert.deepEqual(
      settings.map((row) => row['setting']),
      ['on', '127.0.0.1', 'on', ''],
    );
    await assert.rejects(runSql(open.href, 'SELECT 1'), { code: '28P01' });
    assert.equal((await stat(join(dataDir, 'postgres-password'))).mode & 0o777, 0o600);
  });

  it('starts again while the server of a killed run is still running, and loses nothing', async () => {
    const orphan = await startEmbeddedPostgres({ dataDir, log: silentLog });
    await runSql(orphan.databaseUrl, 'CREATE TABLE orphaned AS SELECT 1 AS number');

    const next = await start();

    assert.notEqual(next.pid, orphan.pid);
    assert.throws(() => process.kill(orphan.pid, 0), { code: 'ESRCH' });
    assert.deepEqual(await query(next.databaseUrl, 'SELECT number FROM orphaned'), [{ number: 1 }]);
  });

  it('starts again after the server itself was killed', async () => {
    const reasons: string[] = [];
    const killed = await startEmbeddedPostgres({ dataDir, log: silentLog, onExit: (reason) => reasons.push(reason) });
    await runSql(killed.databaseUrl, 'CREATE TABLE survived AS SELECT 2 AS number');
    process.kill(killed.pid, 'SIGKILL');

    const next = await start();

    assert.deepEqual(reasons, ['killed by SIGKILL']);
    assert.deepEqual(await query(next.databaseUrl, 'SELECT number FROM survived'), [{ number: 2 }]);
  });

  it('leaves a stranger alone whose pid stands in a stale postmaster.pid', async () => {
    await (await start()).stop();
    const pidFile = join(dataDir, 'postgres', 'postmaster.pid');
    await writeFile(pidFile, `${process.pid}\n/proc/self/cwd\n1700000000\n5432\n\n127.0.0.1\n  1 1\nready\n`);
    await chmod(pidFile, 0o600);

    const next = await start();

    assert.deepEqual(await query(next.databaseUrl, 'SELECT 1 AS number'), [{ number: 1 }]);
  });

  it('says why it cannot start', async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const address = listener.address();
    const port = address && typeof address === 'object' ? address.port : 0;

    try {
      await assert.rejects(startEmbeddedPostgres({ dataDir, log: silentLog, port }), /could not bind IPv4 address/);
    } finally {
      await new Promise((resolve) => listener.close(resolve));
    }
  });

  it('refuses a cluster of another major version', async () => {
    const versionFile = join(dataDir, 'postgres', 'PG_VERSION');
    const version = await readFile(versionFile, 'utf8');
    await writeFile(versionFile, '9\n');

    try {
      await assert.rejects(
        startEmbeddedPostgres({ dataDir, log: silentLog }),
        /was made by Postgres 9, and this is 18/,
      );
    } finally {
      await writeFile(versionFile, version);
    }
  });
});

async function query(databaseUrl: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
