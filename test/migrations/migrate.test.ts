// Runs the migrations up and down against a real Postgres, alone and from several processes' worth of callers at once.
// Must not depend on what the tables hold.
import assert from 'node:assert/strict';
import pg from 'pg';
import { migrateDown, migrateUp } from '../../migrations/migrate.ts';
import { createEmptyDatabase, runSql, type TestDatabase } from '../support/product/database.ts';

describe('migrations', () => {
  let database: TestDatabase;

  beforeEach(async () => {
    database = await createEmptyDatabase();
  });

  afterEach(() => database.drop());

  it('create every table, once', async () => {
    const first = await migrateUp(database.url);
    const second = await migrateUp(database.url);

    assert.deepEqual(first, [
      '20261122T0001_create_configuration',
      '20261122T0002_create_publishing',
      '20261122T0003_create_certificates',
      '20261122T0004_speak_http2_to_targets',
      '20261122T0005_bound_exchanges',
      '20261122T0006_create_marketplace',
      '20261122T0007_create_installs',
      '20261123T0008_try_versions',
      '20261123T0009_run_shadows',
      '20261123T0010_offer_two_tiers',
      '20261123T0011_record_requests',
      '20261123T0012_offer_isolates',
      '20261123T0013_share_limits',
    ]);
    assert.deepEqual(second, []);
    assert.ok((await listTables(database.url)).includes('bindings'));
  });

  it('leave nothing behind when they are taken back one by one, and can be run again', async () => {
    const applied = await migrateUp(database.url);
    const undone: string[] = [];
    for (let step = await migrateDown(database.url); step.length > 0; step = await migrateDown(database.url)) {
      undone.push(...step);
    }
    const left = await listTables(database.url);
    const again = await migrateUp(database.url);

    assert.deepEqual(undone, [...applied].reverse());
    assert.deepEqual(left, []);
    assert.deepEqual(again, applied);
  });

  it('bring installs of a tier that gateways do not have into a process, where they do not have it', async () => {
    await migrateUp(database.url);
    const undo = async (name: string): Promise<void> => {
      for (let undone: readonly string[] = []; !undone.includes(name); ) undone = await migrateDown(database.url);
    };
    const insert = (plugin: string): Promise<void> =>
      runSql(
        database.url,
        `INSERT INTO installs (id, plugin, version, sha256, granted, manifest, config_schema, tier, sealed_secrets)
         VALUES (gen_random_uuid(), '${plugin}', '1.0.0', '', '{}', '{}', '{}', 'isolate', '{}')`,
      );
    const readTiers = (): Promise<unknown> => readRows(database.url, 'SELECT tier FROM installs ORDER BY plugin');
    await insert('acme/isolated');

    await undo('20261123T0012_offer_isolates');
    const between = await readTiers();
    await assert.rejects(insert('acme/refused'), /installs_tier_check/);
    await undo('20261123T0010_offer_two_tiers');
    await insert('acme/before');
    await migrateUp(database.url);

    assert.deepEqual([between, await readTiers()], [[{ tier: 'process' }], [{ tier: 'process' }, { tier: 'process' }]]);
    await insert('acme/now');
  });

  it('run once when several nodes start together', async () => {
    const results = await Promise.all(Array.from({ length: 4 }, () => migrateUp(database.url)));

    assert.equal(results.filter((names) => names.length > 0).length, 1);
  });

  it('go on after a process that was killed amid a migration', async () => {
    await migrateUp(database.url);
    await runSql(database.url, 'UPDATE knex_migrations_lock SET is_locked = 1');

    const names = await migrateUp(database.url);

    assert.deepEqual(names, []);
  });
});

async function listTables(databaseUrl: string): Promise<string[]> {
  const rows = await readRows<{ name: string }>(
    databaseUrl,
    "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE 'knex%'",
  );
  return rows.map((row) => row.name);
}

async function readRows<Row extends pg.QueryResultRow>(databaseUrl: string, sql: string): Promise<readonly Row[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}
