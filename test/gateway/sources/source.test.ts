// Follows a Postgres of its own that is killed, frozen and restarted under it.
// Must not use the shared test server.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../cli/postgres/embedded-postgres.ts';
import type { Update } from '../../../gateway/core/model.ts';
import { createClock } from '../../../gateway/ops/clock.ts';
import { createPostgresSource, type PostgresSource } from '../../../gateway/sources/postgres/source.ts';
import { migrateUp } from '../../../migrations/migrate.ts';
import { runSql, silentLog } from '../../support/product/database.ts';
import { makeApi, makeConsumer, makeCredential, publish, write } from '../../support/product/publish.ts';

describe('Postgres source', () => {
  let dataDir: string;
  let postgres: EmbeddedPostgres;
  let source: PostgresSource;
  let updates: Update[];
  let connections: boolean[];
  let wake: () => void;

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sallyport-source-'));
    postgres = await start();
    await migrateUp(postgres.databaseUrl);
  });

  after(async () => {
    await postgres.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  beforeEach(() => {
    updates = [];
    connections = [];
    wake = () => undefined;
  });

  afterEach(async () => {
    await source.stop();
    await runSql(
      postgres.databaseUrl,
      'TRUNCATE apis, consumers, revisions CASCADE; UPDATE publication SET revision = 0',
    );
  });

  function start(port?: number): Promise<EmbeddedPostgres> {
    const settings = { fsync: 'off' };
    return startEmbeddedPostgres({ dataDir, log: silentLog, settings, ...(port === undefined ? {} : { port }) });
  }

  function follow(pollMs = 1_000, answerTimeoutMs = 10_000): void {
    source = createPostgresSource({
      databaseUrl: postgres.databaseUrl,
      log: silentLog,
      clock: createClock(),
      pollMs,
      answerTimeoutMs,
      onUpdate: (update) => {
        updates.push(update);
        wake();
      },
      onConnection: (isConnected) => {
        connections.push(isConnected);
        wake();
      },
    });
    source.start();
  }

  /** Waits until `isTrue`; it is asked again at each event of the source. Gives the time that took. */
  async function until(isTrue: () => boolean): Promise<number> {
    const start = performance.now();
    while (!isTrue()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    return performance.now() - start;
  }

  it('delivers the whole document first, then each change, in less than the poll', async () => {
    const [one, two] = [makeApi('one'), makeApi('two')];
    await publish(postgres.databaseUrl, [write('api', one)]);
    follow(60_000);
    await until(() => source.isConnected);

    await publish(postgres.databaseUrl, [write('api', two)]);
    const tookMs = await until(() => updates.length === 2);

    assert.deepEqual(updates, [
      { revision: 1, isReset: true, changes: [write('api', one)] },
      { revision: 2, isReset: false, changes: [write('api', two)] },
    ]);
    assert.ok(tookMs < 1_000, `took ${tookMs} ms`);
  });

  it('finds by the poll what was never notified', async () => {
    follow(20);
    await until(() => source.isConnected);

    await publish(postgres.databaseUrl, [write('api', makeApi('silent'))], { isSilent: true });

    await until(() => updates.length === 2);
  });

  it('delivers a burst of revisions in few updates that end at the newest', async () => {
    follow();
    await until(() => source.isConnected);

    for (let n = 0; n < 20; n += 1) await publish(postgres.databaseUrl, [write('api', makeApi(`api-${n}`))]);
    await until(() => updates.at(-1)?.revision === 20);

    const revisions = updates.map((update) => update.revision);
    assert.deepEqual(
      revisions,
      [...new Set(revisions)].sort((a, b) => a - b),
    );
    assert.equal(updates.flatMap((update) => update.changes).length, 20);
  });

  it('comes back by itself when its connections are killed, and delivers what it missed', async () => {
    follow(60_000);
    await until(() => source.isConnected);

    await runSql(
      postgres.databaseUrl,
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'sallyport %'",
    );
    await until(() => !source.isConnected);
    await publish(postgres.databaseUrl, [write('api', makeApi('missed'))]);
    await until(() => source.isConnected && updates.length === 2);

    assert.equal(updates[1]?.isReset, false);
    assert.deepEqual(connections, [true, false, true]);
  });

  it('is live again within five seconds of the return of a killed Postgres', async () => {
    follow();
    await until(() => source.isConnected);
    process.kill(postgres.pid, 'SIGKILL');
    await until(() => !source.isConnected);
    await assert.rejects(source.findCredential('key-auth', 'x'), /out of reach/);

    postgres = await start(postgres.port);
    await publish(postgres.databaseUrl, [write('api', makeApi('after'))]);
    const tookMs = await until(() => source.isConnected && updates.length === 2);

    assert.ok(tookMs < 5_000, `took ${tookMs} ms`);
  });

  it('notices that Postgres no longer answers', async () => {
    follow(20, 300);
    await until(() => source.isConnected);
    // Frozen: the kernel still holds the connections open.
    const backends = await listBackends(postgres.databaseUrl);
    for (const pid of backends) process.kill(pid, 'SIGSTOP');

    try {
      const tookMs = await until(() => !source.isConnected);

      // By default the poll and the wait for its answer add up to eleven seconds.
      assert.ok(tookMs < 2_000, `took ${tookMs} ms`);
    } finally {
      for (const pid of backends) process.kill(pid, 'SIGCONT');
    }
  });

  it('reads the whole document when the database was put back to an older state', async () => {
    const kept = makeApi('kept');
    await publish(postgres.databaseUrl, [write('api', kept)]);
    await publish(postgres.databaseUrl, [write('api', makeApi('lost'))]);
    follow(20);
    await until(() => source.isConnected);

    await runSql(
      postgres.databaseUrl,
      "DELETE FROM apis WHERE name = 'lost'; DELETE FROM revisions WHERE number = 2; UPDATE publication SET revision = 1",
    );
    await until(() => updates.length === 2);

    assert.deepEqual(updates[1], { revision: 1, isReset: true, changes: [write('api', kept)] });
  });

  it('reads the whole document when the same number names another revision', async () => {
    await publish(postgres.databaseUrl, [write('api', makeApi('old'))]);
    follow(20);
    // The second look learns when the revision in force was made.
    await until(() => source.isConnected);
    const seen = source.currentAtMs;
    while (source.currentAtMs === seen) await new Promise((resolve) => setImmediate(resolve));

    await runSql(postgres.databaseUrl, "UPDATE revisions SET created_at = created_at + interval '1 second'");
    await until(() => updates.length === 2);

    assert.equal(updates[1]?.isReset, true);
  });

  it('reports its node, again and again, into one row', async () => {
    follow();
    await until(() => source.isConnected);
    const row = {
      id: '00000000-0000-4000-8000-000000000001',
      name: 'node-1',
      mode: 'central',
      version: '0.1.0',
      startedAt: '2026-01-01T00:00:00.000Z',
      offeredRevision: 7,
      refusal: {
        revision: 7,
        problems: [{ pointer: '/x', code: 'INVALID', message: 'bad' }],
        at: '2026-01-01T00:00:00.000Z',
      },
      workers: [{ pid: 1, revision: 6 }],
      health: { targets: [] },
      plugins: [],
    };

    await source.reportNode({ ...row, revision: 5 });
    await source.reportNode({ ...row, revision: 6 });

    const rows = await query(
      postgres.databaseUrl,
      "SELECT revision, refusal, workers, last_seen_at > now() - interval '1 minute' AS live FROM nodes",
    );
    assert.deepEqual(rows, [{ revision: '6', refusal: row.refusal, workers: row.workers, live: true }]);
  });

  it('finds a credential with its consumer, and reads all of them', async () => {
    const consumer = makeConsumer('alice', { groups: ['gold'] });
    const credential = makeCredential(consumer, 'hash');
    await publish(postgres.databaseUrl, [write('consumer', consumer), write('credential', credential)]);
    follow();
    await until(() => source.isConnected);
    const read: unknown[] = [];

    const found = await source.findCredential('key-auth', 'hash');
    const missing = await source.findCredential('jwt', 'hash');
    const isRead = await source.readIdentities({
      begin: (revision, count) => read.push(revision, count) > 0,
      take: (page) => read.push(...page),
    });

    assert.deepEqual(found, { consumer, credential });
    assert.equal(missing, undefined);
    assert.equal(isRead, true);
    assert.deepEqual(read, [1, 1, write('consumer', consumer), write('credential', credential)]);
  });

  it('stops while the database is away', async () => {
    follow();
    await until(() => source.isConnected);
    await postgres.stop();
    await until(() => !source.isConnected);

    await source.stop();

    postgres = await start(postgres.port);
  });
});

async function listBackends(databaseUrl: string): Promise<number[]> {
  const rows = await query(databaseUrl, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'sallyport %'");
  return rows.map((row) => Number(row['pid']));
}

async function query(databaseUrl: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
