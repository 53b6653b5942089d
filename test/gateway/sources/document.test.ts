// Reads back from a real Postgres what was written there, whole and as changes.
// Must not test how a source follows: that is source.test.ts.
import assert from 'node:assert/strict';
import knex, { type Knex } from 'knex';
import { readChangesSince, readDocument } from '../../../gateway/sources/postgres/document.ts';
import { createDatabase, runSql, type TestDatabase } from '../../support/product/database.ts';
import {
  makeApi,
  makeBinding,
  makeConsumer,
  makeCredential,
  makeUpstream,
  publish,
  remove,
  write,
} from '../../support/product/publish.ts';

describe('stored document', () => {
  let database: TestDatabase;
  let connection: Knex;

  beforeEach(async () => {
    database = await createDatabase();
    connection = knex.knex({ client: 'pg', connection: database.url });
  });

  afterEach(async () => {
    await connection.destroy();
    await database.drop();
  });

  it('is read as it was written, each kind with all it has', async () => {
    const upstream = makeUpstream('orders');
    const second = { ...makeApi('x').routes[0], id: '00000000-0000-4000-8000-000000000001', name: 'second' };
    const api = makeApi('orders', { upstream: { name: 'orders' }, tags: ['a', 'b'] });
    const apiOfTwo = { ...api, routes: [...api.routes, second as (typeof api.routes)[0]] };
    const consumer = makeConsumer('alice', { customId: 'c-1', groups: ['gold', 'silver'] });
    const credential = makeCredential(consumer, 'lookup', {
      type: 'jwt',
      data: { algorithm: 'HS256', secret: 'v1.a.b.c' },
    });
    const binding = makeBinding('rate-limiting', {
      name: 'burst',
      scope: { api: api.id, route: second.id, consumer: consumer.id, group: 'gold' },
      config: { limits: [{ requests: 1, windowSeconds: 2 }] },
      when: { methods: ['POST'] },
      order: -3,
    });
    const changes = [
      write('upstream', upstream),
      write('api', apiOfTwo),
      write('consumer', consumer),
      write('credential', credential),
      write('binding', binding),
    ];
    await publish(database.url, changes);

    const document = await readDocument(connection);

    assert.deepEqual(document, { revision: 1, changes });
  });

  it('is one state of the database inside a transaction of the caller too', async () => {
    await publish(database.url, [write('api', makeApi('one'))]);

    const document = await connection.transaction((transaction) => readDocument(transaction));

    assert.equal(document.changes.length, 1);
  });

  it('gives the last of several changes to an entity, and removals', async () => {
    const api = makeApi('one');
    const renamed = { ...api, name: 'renamed' };
    const removed = makeApi('two');
    await publish(database.url, [write('api', removed)]);
    await publish(database.url, [write('api', api)]);
    await publish(database.url, [write('api', renamed)]);
    await publish(database.url, [remove('api', removed)]);

    const update = await readChangesSince(connection, 1);

    assert.equal(update?.revision, 4);
    assert.equal(update.isReset, false);
    assert.deepEqual(new Set(update.changes), new Set([write('api', renamed), remove('api', removed)]));
  });

  it('gives no changes when there are none', async () => {
    await publish(database.url, [write('api', makeApi('one'))]);

    assert.deepEqual(await readChangesSince(connection, 1), { revision: 1, isReset: false, changes: [] });
  });

  it('wants the whole document read when a revision is missing, when too many came, or when the database is behind', async () => {
    for (const name of ['one', 'two', 'three']) await publish(database.url, [write('api', makeApi(name))]);
    const ahead = await readChangesSince(connection, 9);
    await runSql(database.url, 'DELETE FROM revisions WHERE number = 2');
    const gap = await readChangesSince(connection, 1);
    await runSql(
      database.url,
      `INSERT INTO revisions (number, actor, summary, changes) SELECT n, '', '', '[]' FROM generate_series(4, 1010) AS n;
       UPDATE publication SET revision = 1010`,
    );
    const many = await readChangesSince(connection, 3);

    assert.deepEqual([ahead, gap, many], [undefined, undefined, undefined]);
  });

  it('reads ten thousand apis without holding the event loop', async () => {
    await runSql(
      database.url,
      `INSERT INTO apis (id, name, upstream_url, enabled, preserve_host, timeouts, retries)
         SELECT gen_random_uuid(), 'api-' || n, 'http://127.0.0.1:9', true, false, '{}', '{}' FROM generate_series(1, 10000) AS n;
       INSERT INTO routes (id, api_id, position, name, hosts, paths, methods, headers, query, strip_path)
         SELECT gen_random_uuid(), id, 0, 'main', '{}', ARRAY['/' || name], '{}', '{}', '{}', true FROM apis;
       ANALYZE`,
    );
    let longestMs = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 1);

    const document = await readDocument(connection);

    clearInterval(ticker);
    assert.equal(document.changes.length, 10_000);
    // Each page is a few milliseconds; the bound leaves room for a machine shared with other tests.
    assert.ok(longestMs < 150, `held for ${longestMs} ms`);
  });
});
