// What a node has reported to run, it runs again after a kill, also without the database.
// Must not use the admin service: it answers by what is reported here.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { query } from '../../../../support/market/stored-market.ts';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, publish, write } from '../../../../support/product/publish.ts';
import { until } from '../../../../support/until.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

/** Nobody listens there. */
const NO_DATABASE = 'postgres://nobody@127.0.0.1:1/none';

describe('a node that is killed', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let folder: string;
  let node: RunningProduct | undefined;

  beforeEach(async () => {
    database = await createDatabase();
    origin = await startOrigin();
    folder = await mkdtemp(join(tmpdir(), 'sallyport-killed-'));
  });

  afterEach(async () => {
    await node?.stop();
    await origin.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(databaseUrl: string): Promise<RunningProduct> {
    node = await startNode(databaseUrl, { dataDir: folder, environment: { SALLYPORT_WORKERS: '1' } });
    return node;
  }

  const add = (name: string): Promise<number> =>
    publish(database.url, [write('api', makeApi(name, { upstream: origin.url }))]);

  async function untilReported(revision: number): Promise<void> {
    for (;;) {
      const [row] = await query<{ readonly revision: string }>(database.url, 'SELECT revision FROM nodes');
      if (Number(row?.revision) >= revision) return;
    }
  }

  it('serves the newest revision that it reported when it starts without the database', async () => {
    await add('first');
    const { kill, ended } = await start(database.url);
    await until(() => existsSync(join(folder, 'node', 'last-good')));
    for (const name of ['second', 'third']) await untilReported(await add(name));

    kill('SIGKILL');
    await ended;
    const { urls } = await start(NO_DATABASE);

    const statuses: number[] = [];
    for (const name of ['first', 'second', 'third']) statuses.push((await fetch(`${urls.proxy}/${name}`)).status);
    assert.deepEqual(statuses, [200, 200, 200]);
  });
});
