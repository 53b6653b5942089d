// What every write has in common: preconditions, pages, waiting for nodes, several admins on one database.
import assert from 'node:assert/strict';
import { runSql } from '../support/product/database.ts';
import { makeBinding, publish, write } from '../support/product/publish.ts';
import { type Reply, startTestAdmin, type TestAdmin } from './support.ts';

const UPSTREAM = { upstream: 'http://127.0.0.1:9000' };

describe('admin publishing', () => {
  let admin: TestAdmin;

  beforeEach(async () => {
    admin = await startTestAdmin();
  });

  afterEach(async () => {
    await admin.close();
  });

  it('writes only when the entity is as it was read', async () => {
    const made = await admin.expect(201, 'PUT', '/v1/apis/tagged', { body: UPSTREAM });
    const etag = made.headers.get('etag') ?? '';
    const changed = await admin.expect(200, 'PATCH', '/v1/apis/tagged', {
      body: { enabled: false },
      headers: { 'if-match': etag },
    });

    for (const method of ['PUT', 'PATCH', 'DELETE']) {
      const body = method === 'DELETE' ? undefined : { ...UPSTREAM, name: 'tagged' };
      const stale = await admin.expect(412, method, '/v1/apis/tagged', { body, headers: { 'if-match': etag } });
      assert.equal(stale.body['code'], 'PRECONDITION_FAILED');
    }
    const fresh = { 'if-none-match': changed.headers.get('etag') ?? '' };
    await admin.expect(304, 'GET', '/v1/apis/tagged', { headers: fresh });
    await admin.expect(412, 'PUT', '/v1/apis/tagged', { body: UPSTREAM, headers: { 'if-none-match': '*' } });
    await admin.expect(412, 'PUT', '/v1/apis/absent', { body: UPSTREAM, headers: { 'if-match': '*' } });
    await admin.expect(201, 'PUT', '/v1/apis/absent', { body: UPSTREAM, headers: { 'if-none-match': '*' } });
    await admin.expect(204, 'DELETE', '/v1/apis/tagged', { headers: { 'if-match': '*' } });
  });

  it('pages through a list that changes meanwhile, without a gap or a repeat', async () => {
    const apis = Array.from({ length: 25 }, (_, index) => ({
      ...UPSTREAM,
      name: `api-${String(index).padStart(2, '0')}`,
    }));
    await admin.expect(200, 'PUT', '/v1/config', { body: { apis } });

    const seen: string[] = [];
    let cursor = '';
    for (let page = 0; page < 10; page++) {
      const reply = await admin.expect(200, 'GET', `/v1/apis?limit=7${cursor}`);
      seen.push(...(reply.body['data'] as { name: string }[]).map(({ name }) => name));
      if (reply.body['next'] === null) break;
      cursor = `&cursor=${reply.body['next']}`;
      await admin.expect(201, 'PUT', `/v1/apis/aaa-${page}`, { body: UPSTREAM });
    }

    assert.deepEqual(
      seen,
      apis.map(({ name }) => name),
    );
  });

  it('filters a list by text and by tag', async () => {
    await admin.expect(201, 'PUT', '/v1/apis/orders-a', { body: { ...UPSTREAM, tags: ['x'] } });
    await admin.expect(201, 'PUT', '/v1/apis/orders-b', { body: UPSTREAM });
    const namesOf = async (query: string): Promise<string[]> => {
      const reply = await admin.expect(200, 'GET', `/v1/apis?${query}`);
      return (reply.body['data'] as { name: string }[]).map(({ name }) => name);
    };

    assert.deepEqual(await namesOf('search=ORDERS'), ['orders-a', 'orders-b']);
    assert.deepEqual(await namesOf('search=orders&tag=x'), ['orders-a']);
    assert.deepEqual(await namesOf('tag=none'), []);
    await admin.expect(400, 'GET', '/v1/apis?limit=0');
    await admin.expect(400, 'GET', '/v1/apis?limit=1001');
    await admin.expect(400, 'GET', '/v1/apis?cursor=bm90IG91cnM');
  });

  it('keeps two admins on one database in step, whoever writes', async () => {
    const other = await startTestAdmin({ database: admin.database });
    try {
      const writes = Array.from({ length: 30 }, (_, index) =>
        (index % 2 === 0 ? admin : other).call('PUT', `/v1/apis/n-${index}`, { body: UPSTREAM }),
      );
      const revisions = (await Promise.all(writes)).map((reply) => Number(reply.headers.get('sallyport-revision')));
      const [mine, theirs] = await Promise.all([admin.call('GET', '/v1/config'), other.call('GET', '/v1/config')]);

      assert.deepEqual(
        [...revisions].sort((a, b) => a - b),
        Array.from({ length: 30 }, (_, index) => index + 1),
      );
      assert.deepEqual(mine.body, theirs.body);
    } finally {
      await other.close();
    }
  });

  it('judges all of a document in which something is wrong already, until it is mended', async () => {
    await admin.expect(201, 'PUT', '/v1/apis/one', { body: UPSTREAM });
    const broken = makeBinding('gone-plugin');
    await publish(admin.database.url, [write('binding', broken)]);

    const refused = await admin.expect(422, 'PATCH', '/v1/apis/one', { body: { enabled: false } });
    await admin.expect(204, 'DELETE', `/v1/bindings/${broken.id}`);
    await admin.expect(200, 'PATCH', '/v1/apis/one', { body: { enabled: false } });

    const [problem] = refused.body['problems'] as { readonly pointer: string }[];
    assert.equal(problem?.pointer, `/bindings/${broken.id}/plugin`);
  });

  it('reads the document anew when the same number names another revision', async () => {
    await admin.expect(201, 'PUT', '/v1/apis/lost', { body: UPSTREAM });
    const before = await admin.revision();
    await admin.expect(200, 'GET', '/v1/apis/lost');

    // What a failover to a standby leaves that had not heard of the last write, once another was made there.
    await runSql(
      admin.database.url,
      `DELETE FROM apis WHERE name = 'lost';
       UPDATE revisions SET created_at = created_at + interval '1 second' WHERE number = ${before}`,
    );

    await admin.expect(404, 'GET', '/v1/apis/lost');
  });

  it('serves after a restart what was acknowledged before', async () => {
    await admin.expect(201, 'PUT', '/v1/upstreams/pool', {
      body: { targets: [{ host: '127.0.0.1', port: 1, weight: 0 }] },
    });
    await admin.expect(201, 'PUT', '/v1/apis/kept', {
      body: { upstream: { name: 'pool' }, routes: [{ headers: { a: ['b'] }, query: { c: ['d'] }, stripPath: false }] },
    });
    await admin.expect(201, 'PUT', '/v1/consumers/alice', {
      body: { groups: ['z', 'a', 'Z'], customId: 'c', tags: ['t'] },
    });
    await admin.expect(201, 'POST', '/v1/bindings', {
      body: { plugin: 'key-auth', scope: { api: 'kept' }, when: { methods: ['GET'] }, tags: ['t'] },
    });
    const before = await admin.expect(200, 'GET', '/v1/config');
    const restarted = await startTestAdmin({ database: admin.database });
    try {
      const after = await restarted.expect(200, 'GET', '/v1/config');
      const again = await restarted.expect(200, 'PUT', '/v1/config', { body: after.text });

      assert.deepEqual(after.body, before.body);
      assert.deepEqual(again.body['counts'], { create: 0, update: 0, delete: 0 });
    } finally {
      await restarted.close();
    }
  });

  async function report(
    name: string,
    revision: number,
    seenSecondsAgo = 0,
    refusal: object | null = null,
  ): Promise<void> {
    await runSql(
      admin.database.url,
      `INSERT INTO nodes (id, name, mode, version, started_at, last_seen_at, revision, offered_revision, refusal, workers, health)
       VALUES (md5('${name}')::uuid, '${name}', 'central', '0', now(), now() - interval '${seenSecondsAgo} s', ${revision},
         ${revision}, ${refusal === null ? 'NULL' : `'${JSON.stringify(refusal)}'`}, '[]',
         '{"targets":[{"upstream":"pool","host":"127.0.0.1","port":9000,"isHealthy":false}],
           "plugins":[{"plugin":"key-auth","calls":3,"errors":1,"timeouts":0,"totalMs":2}]}')
       ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, refusal = excluded.refusal;
       NOTIFY sallyport_nodes, '${name}'`,
    );
  }

  it('waits until the live nodes run the revision', async () => {
    await report('node-a', 0);
    await report('long-gone', 0, 60);

    const waiting = admin.expect(201, 'PUT', '/v1/apis/waited?wait=applied', { body: UPSTREAM });
    while ((await admin.revision()) === 0);
    await report('node-a', 1);

    assert.equal((await waiting).headers.get('sallyport-revision'), '1');
  });

  it('names the nodes that lag after the wait, and keeps the write', async () => {
    await report('slow', 0);
    await admin.expect(504, 'PUT', '/v1/consumers/alice?wait=applied&waitMs=50', { body: {} });

    const late = await admin.expect(504, 'POST', '/v1/consumers/alice/credentials?wait=applied&waitMs=50', {
      body: { type: 'key-auth' },
    });

    assert.equal(late.body['code'], 'NODES_BEHIND');
    assert.equal(late.headers.get('sallyport-revision'), '2');
    assert.deepEqual(
      (late.body['nodes'] as { name: string }[]).map(({ name }) => name),
      ['slow'],
    );
    assert.match(String((late.body['written'] as Record<string, unknown>)['key']), /^sp_/);
    await admin.expect(200, 'GET', '/v1/consumers/alice');
  });

  it('does not wait for a node that has refused the revision', async () => {
    await report('refusing', 0, 0, { revision: 1, problems: [{ pointer: '/', code: 'X', message: 'no' }], at: 'now' });
    const started = performance.now();

    const refused = await admin.expect(504, 'PUT', '/v1/apis/bad?wait=applied', { body: UPSTREAM });

    assert.ok(performance.now() - started < 5000);
    assert.match(refused.text, /"message":"no"/);
  });

  it('pages through nodes', async () => {
    for (const name of ['node-b', 'node-a', 'node-c']) await report(name, 0);

    const first = await admin.expect(200, 'GET', '/v1/nodes?limit=2');
    const rest = await admin.expect(200, 'GET', `/v1/nodes?limit=2&cursor=${first.body['next']}`);
    const found = await admin.expect(200, 'GET', '/v1/nodes?search=E-C');

    const namesIn = (reply: Reply): string[] => (reply.body['data'] as { name: string }[]).map(({ name }) => name);
    assert.deepEqual([namesIn(first), namesIn(rest), namesIn(found)], [['node-a', 'node-b'], ['node-c'], ['node-c']]);
    assert.equal(rest.body['next'], null);
  });

  it('shows nodes, the health of targets and of plugins', async () => {
    await report('node-a', 0);
    await admin.expect(201, 'PUT', '/v1/upstreams/pool', {
      body: {
        targets: [
          { host: '127.0.0.1', port: 9000 },
          { host: '127.0.0.1', port: 9001 },
        ],
      },
    });

    const nodes = await admin.expect(200, 'GET', '/v1/nodes');
    const health = await admin.expect(200, 'GET', '/v1/upstreams/pool/health');
    const plugin = await admin.expect(200, 'GET', '/v1/plugins/key-auth');
    const plugins = await admin.expect(200, 'GET', '/v1/plugins?limit=2');

    const [node] = nodes.body['data'] as { name: string; isLive: boolean }[];
    const [target, unmentioned] = health.body['data'] as { nodes: { name: string; isHealthy: boolean }[] }[];
    assert.deepEqual([node?.name, node?.isLive], ['node-a', true]);
    assert.deepEqual([target?.nodes[0]?.name, target?.nodes[0]?.isHealthy], ['node-a', false]);
    assert.deepEqual([unmentioned?.nodes[0]?.name, unmentioned?.nodes[0]?.isHealthy], ['node-a', true]);
    assert.deepEqual(plugin.body['health'], { calls: 3, errors: 1, timeouts: 0, totalMs: 2 });
    assert.equal((plugins.body['data'] as unknown[]).length, 2);
  });

  it('explains a request on the configuration as it is', async () => {
    await admin.expect(201, 'PUT', '/v1/apis/shop', {
      body: { ...UPSTREAM, routes: [{ name: 'r', paths: ['/shop'] }] },
    });
    await admin.expect(201, 'POST', '/v1/apis/shop/bindings', { body: { plugin: 'key-auth' } });

    const explained = await admin.expect(200, 'POST', '/v1/explain', {
      body: { method: 'GET', host: 'any', path: '/shop/1?x=y' },
    });

    assert.equal((explained.body['route'] as { api: string }).api, 'shop');
    assert.deepEqual(
      (explained.body['plugins'] as { plugin: string }[]).map(({ plugin }) => plugin),
      ['key-auth'],
    );
  });

  it('describes every route in OpenAPI, with references that resolve', async () => {
    const reply = await admin.expect(200, 'GET', '/v1/openapi.json');
    const { openapi, paths, components } = reply.body as {
      openapi: string;
      paths: Record<string, Record<string, unknown>>;
      components: { schemas: Record<string, unknown> };
    };

    assert.equal(openapi, '3.1.0');
    assert.ok(paths['/v1/apis/{api}/routes/{route}']?.['patch']);
    for (const [, name = ''] of reply.text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      assert.ok(components.schemas[name], name);
    }
  });
});
