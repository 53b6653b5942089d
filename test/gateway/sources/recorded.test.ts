// Recorded requests in Postgres: the newest of each api, and none of an api that is gone.
import assert from 'node:assert/strict';
import pg from 'pg';
import type { RecordedRequest } from '../../../gateway/core/shadow/recorded.ts';
import { MAX_RECORDED_PER_API, writeRecorded } from '../../../gateway/sources/postgres/recorded.ts';
import { createDatabase, type TestDatabase } from '../../support/product/database.ts';

const [ONE, OTHER, GONE] = [
  '00000000-0000-4000-8000-000000000001',
  '00000000-0000-4000-8000-000000000002',
  '00000000-0000-4000-8000-000000000003',
];

describe('recorded requests in Postgres', () => {
  let database: TestDatabase;
  let client: pg.Client;

  before(async () => {
    database = await createDatabase();
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
    for (const [name, id] of Object.entries({ one: ONE, other: OTHER })) {
      await client.query(
        `INSERT INTO apis (id, name, upstream_url, enabled, preserve_host, timeouts, retries)
         VALUES ($1, $2, 'http://a.test', true, false, '{}', '{}')`,
        [id, name],
      );
    }
  });

  after(async () => {
    await client?.end();
    await database?.drop();
  });

  function record(api: string | undefined, from: number, count: number, atMs = Date.now()): RecordedRequest[] {
    return Array.from({ length: count }, (_, at) => ({
      ...{ atMs, api: { id: api ?? '', name: 'api' }, route: { id: '', name: '' } },
      ...{ httpVersion: '1.1', scheme: 'http', method: 'GET', host: 'a.test', path: `/${from + at}` },
      ...{ query: '', headers: [], hasBody: false },
    }));
  }

  async function write(requests: readonly RecordedRequest[]): Promise<void> {
    await writeRecorded(async (sql, values) => (await client.query(sql, values as unknown[])).rows, requests);
  }

  async function paths(api: string | undefined): Promise<readonly string[]> {
    const sql = "SELECT request->>'path' AS path FROM recorded_requests WHERE api_id = $1 ORDER BY id";
    return (await client.query<{ path: string }>(sql, [api])).rows.map(({ path }) => path);
  }

  it('stay the newest of each api', async () => {
    await write(record(OTHER, 0, 3));
    await write(record(ONE, 0, 600));

    await write(record(ONE, 600, 600));

    const kept = await paths(ONE);
    assert.deepEqual([kept.length, kept[0], kept.at(-1)], [MAX_RECORDED_PER_API, '/200', '/1199']);
    assert.deepEqual(await paths(OTHER), ['/0', '/1', '/2']);
  });

  it('go when they are a day old, and with their api', async () => {
    await write(record(OTHER, 100, 1, Date.now() - 25 * 3_600_000));
    assert.ok(!(await paths(OTHER)).includes('/100'));

    await client.query('DELETE FROM apis WHERE id = $1', [ONE]);

    assert.deepEqual(await paths(ONE), []);
  });

  it('are kept of the apis that are there, when one of them is gone', async () => {
    await write([...record(GONE, 0, 1), ...record(OTHER, 200, 1)]);

    assert.deepEqual(await paths(GONE), []);
    assert.ok((await paths(OTHER)).includes('/200'));
  });
});
