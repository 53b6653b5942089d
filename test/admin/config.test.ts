// The whole configuration: export, apply, merge, guards; revisions, diff and rollback.
import assert from 'node:assert/strict';
import { parse } from 'yaml';
import { type Reply, startTestAdmin, type TestAdmin } from './support.ts';

const DOCUMENT = {
  upstreams: [{ name: 'pool', protocol: 'h2c', targets: [{ host: '127.0.0.1', port: 9000 }] }],
  apis: [
    { name: 'orders', upstream: { name: 'pool' }, routes: [{ name: 'all', paths: ['/orders'] }, { paths: ['/o'] }] },
    {
      name: 'users',
      upstream: 'h2c://127.0.0.1:9001',
      timeouts: { totalMs: 5_000 },
      routes: [{ paths: ['/users'], timeouts: { idleMs: 1, totalMs: 0 } }],
    },
  ],
  consumers: [
    {
      username: 'alice',
      groups: ['gold'],
      credentials: [
        { type: 'key-auth', key: 'alice-key-1' },
        { type: 'basic-auth', username: 'alice', password: 'alice-password' },
        { type: 'jwt', key: 'alice', algorithm: 'HS256', secret: 'a secret of at least thirty-two bytes' },
      ],
    },
    { username: 'bob' },
  ],
  bindings: [
    { plugin: 'key-auth', scope: { api: 'orders' } },
    { plugin: 'cors', scope: { api: 'orders', route: 'all' }, config: { origins: ['https://a.example'] } },
    { plugin: 'request-transformer', scope: { consumer: 'alice' } },
  ],
};

describe('admin configuration', () => {
  let admin: TestAdmin;

  beforeEach(async () => {
    admin = await startTestAdmin();
  });

  afterEach(async () => {
    await admin.close();
  });

  const apply = (body: unknown, query = ''): Promise<Reply> => admin.expect(200, 'PUT', `/v1/config${query}`, { body });
  const countsOf = (reply: Reply): unknown => reply.body['counts'];

  it('applies a document in one revision, and the same one again changes nothing', async () => {
    const first = await apply(DOCUMENT);
    const second = await apply(DOCUMENT);

    assert.equal(first.headers.get('sallyport-revision'), '1');
    assert.deepEqual(countsOf(first), { create: 11, update: 0, delete: 0 });
    assert.equal(second.headers.get('sallyport-revision'), '1');
    assert.deepEqual(countsOf(second), { create: 0, update: 0, delete: 0 });
  });

  it('takes its own export back unchanged, with ids and without, as JSON and as YAML', async () => {
    await apply(DOCUMENT);

    for (const ids of ['true', 'false']) {
      const json = await admin.expect(200, 'GET', `/v1/config?ids=${ids}`);
      const yaml = await admin.expect(200, 'GET', `/v1/config?ids=${ids}`, { headers: { accept: 'application/yaml' } });
      const back = await apply(json.text);
      const backYaml = await admin.expect(200, 'PUT', '/v1/config', {
        body: yaml.text,
        headers: { 'content-type': 'application/yaml' },
      });

      assert.deepEqual(parse(yaml.text), json.body);
      assert.deepEqual(countsOf(back), { create: 0, update: 0, delete: 0 });
      assert.deepEqual(countsOf(backYaml), { create: 0, update: 0, delete: 0 });
      assert.ok(!/alice-key-1|alice-password|thirty-two/.test(json.text));
    }
  });

  it('carries an export to another installation', async () => {
    await apply(DOCUMENT);
    const exported = await admin.expect(200, 'GET', '/v1/config?ids=false');
    const other = await startTestAdmin();
    try {
      await other.expect(200, 'PUT', '/v1/config', { body: exported.text });
      const again = await other.expect(200, 'GET', '/v1/config?ids=false');

      assert.deepEqual(again.body, exported.body);
    } finally {
      await other.close();
    }
  });

  it('shows a viewer no hashes in the export', async () => {
    await apply(DOCUMENT);
    const made = await admin.expect(201, 'POST', '/v1/tokens', { body: { name: 'v', role: 'viewer' } });

    const exported = await admin.expect(200, 'GET', '/v1/config', { token: String(made.body['token']) });

    assert.ok(!/keyHash|passwordHash|sealedSecret/.test(exported.text));
  });

  it('merges without touching what is not listed', async () => {
    await apply(DOCUMENT);

    const merged = await apply(
      { apis: [{ name: 'users', upstream: 'http://127.0.0.1:9002' }], consumers: [{ username: 'eve' }] },
      '?mode=merge',
    );

    assert.deepEqual(countsOf(merged), { create: 1, update: 1, delete: 0 });
    await admin.expect(200, 'GET', '/v1/apis/orders');
  });

  it('points into the document, collects the faults, and writes nothing', async () => {
    await apply(DOCUMENT);
    const bad = {
      apis: [{ name: 'ok', upstream: 'http://h' }, { name: 'orders', upstream: { name: 'nowhere' } }, { name: 3 }],
      bindings: [{ plugin: 'key-auth', scope: { api: 'nowhere' } }],
      unknown: [],
    };

    const first = await admin.expect(422, 'PUT', '/v1/config', { body: bad });
    const second = await admin.expect(422, 'PUT', '/v1/config?mode=merge', { body: { apis: bad.apis.slice(0, 2) } });
    const twice = await admin.expect(409, 'PUT', '/v1/config?mode=merge', {
      body: { apis: [bad.apis[0], bad.apis[0]] },
    });

    const pointersOf = (reply: Reply): string[] =>
      (reply.body['problems'] as { pointer: string }[]).map(({ pointer }) => pointer).sort();
    assert.deepEqual(pointersOf(first), ['/apis/2/name', '/apis/2/upstream', '/unknown']);
    assert.ok(pointersOf(second).includes('/apis/1/upstream/name'));
    assert.ok(pointersOf(twice).every((pointer) => pointer.startsWith('/apis/1')));
    assert.equal(await admin.revision(), 1);
  });

  it('refuses an empty or much smaller replacement unless that is meant', async () => {
    const apis = ['a', 'b', 'c', 'd', 'e'].map((name) => ({ name, upstream: 'http://127.0.0.1:9000' }));
    await apply({ apis });

    const empty = await admin.expect(409, 'PUT', '/v1/config', { body: {} });
    const small = await admin.expect(409, 'PUT', '/v1/config', { body: { apis: apis.slice(0, 2) } });
    const shown = await admin.expect(409, 'PUT', '/v1/config?dryRun=true', { body: {} });
    const dry = await admin.expect(200, 'PUT', '/v1/config?allowShrink=true&dryRun=true', { body: {} });
    await apply({ apis: apis.slice(0, 3) });
    await apply({}, '?allowShrink=true');

    assert.deepEqual([empty.body['code'], small.body['code']], ['SHRINK_REFUSED', 'SHRINK_REFUSED']);
    assert.deepEqual(countsOf(dry), { create: 0, update: 0, delete: 5 });
    assert.equal(shown.body['code'], 'SHRINK_REFUSED');
    assert.deepEqual(shown.body['changes'], dry.body['changes']);
    assert.equal(empty.body['changes'], undefined);
  });

  it('swaps names in one write', async () => {
    await apply(DOCUMENT);
    const exported = await admin.expect(200, 'GET', '/v1/config');
    const document = exported.body as { apis: { name: string }[]; consumers: { username: string }[] };
    const [orders, users] = document.apis;
    const [alice, bob] = document.consumers;
    const swapped = {
      ...document,
      apis: [
        { ...orders, name: 'users' },
        { ...users, name: 'orders' },
      ],
      consumers: [
        { ...alice, username: 'bob' },
        { ...bob, username: 'alice' },
      ],
      bindings: [],
    };

    const reply = await apply(swapped);

    assert.deepEqual(countsOf(reply), { create: 0, update: 4, delete: 3 });
  });

  it('applies only on top of the revision that was read, when asked to', async () => {
    await apply(DOCUMENT);
    const exported = await admin.expect(200, 'GET', '/v1/config');
    const ifMatch = { 'if-match': exported.headers.get('etag') ?? '' };
    await admin.expect(200, 'PATCH', '/v1/apis/orders', { body: { enabled: false } });

    await admin.expect(412, 'PUT', '/v1/config', { body: exported.text, headers: ifMatch });
  });

  it('lists, shows and compares revisions, and rolls back to one in a new revision', async () => {
    await apply(DOCUMENT);
    const before = await admin.expect(200, 'GET', '/v1/config');
    await admin.expect(200, 'PATCH', '/v1/apis/orders', { body: { tags: ['x'] } });
    await admin.expect(204, 'DELETE', '/v1/consumers/alice');
    await admin.expect(200, 'PATCH', '/v1/upstreams/pool', { body: { name: 'pond' } });

    const listed = await admin.expect(200, 'GET', '/v1/revisions?limit=2');
    const diff = await admin.expect(200, 'GET', '/v1/revisions/2/diff');
    const across = await admin.expect(200, 'GET', '/v1/revisions/4/diff?against=1');
    const rolled = await admin.expect(201, 'POST', '/v1/revisions/1/rollback');
    await admin.expect(200, 'POST', '/v1/revisions/5/rollback');
    const after = await admin.expect(200, 'GET', '/v1/config');

    assert.deepEqual(
      (listed.body['data'] as { number: number }[]).map(({ number }) => number),
      [4, 3],
    );
    const [change] = diff.body['changes'] as { diff: unknown }[];
    assert.deepEqual(change?.diff, [{ pointer: '/tags', before: [], after: ['x'] }]);
    assert.deepEqual(countsOf(across), { create: 0, update: 2, delete: 5 });
    assert.equal(rolled.headers.get('location'), '/v1/revisions/5');
    assert.deepEqual(after.body, before.body);
    await admin.expect(404, 'POST', '/v1/revisions/99/rollback');
    const absent = await admin.expect(404, 'GET', '/v1/revisions/4/diff?against=99');
    assert.equal(absent.body['detail'], 'There is no revision 99.');
    await admin.expect(404, 'GET', '/v1/revisions/none');
  });

  it('leaves out of a comparison and a rollback what came and went in between', async () => {
    const from = await admin.revision();
    await admin.expect(201, 'PUT', '/v1/consumers/passing', { body: {} });
    await admin.expect(204, 'DELETE', '/v1/consumers/passing');
    await admin.expect(201, 'PUT', '/v1/consumers/staying', { body: {} });

    const diff = await admin.expect(200, 'GET', `/v1/revisions/${from + 3}/diff?against=${from}`);
    const back = await admin.expect(201, 'POST', `/v1/revisions/${from}/rollback`);

    assert.deepEqual(diff.body['counts'], { create: 1, update: 0, delete: 0 });
    assert.deepEqual(back.body['counts'], { create: 0, update: 0, delete: 1 });
  });

  it('records who did what, without secrets', async () => {
    await apply(DOCUMENT);

    const events = await admin.expect(200, 'GET', '/v1/audit?actor=bootstrap&kind=credential&revision=1&limit=2');
    const next = await admin.expect(200, 'GET', `/v1/audit?kind=credential&limit=2&cursor=${events.body['next']}`);
    const none = await admin.expect(200, 'GET', '/v1/audit?until=2001-01-01T00:00:00Z');

    assert.equal((events.body['data'] as unknown[]).length, 2);
    assert.equal((next.body['data'] as unknown[]).length, 1);
    assert.deepEqual(none.body, { data: [], next: null });
    assert.ok(!/scrypt|v1\./.test(`${events.text}${next.text}`));
  });

  it('refuses YAML that means more than it says', async () => {
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]', 'b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]', 'c: [*b,*b,*b,*b,*b,*b,*b,*b,*b]'];
    const cases = [
      bomb.join('\n'),
      'apis: []\napis: []',
      'apis: !!js/function "x"',
      '__proto__: {a: 1}',
      'apis: [.inf]',
      `${'['.repeat(50_000)}`,
      'apis: [',
      '\ufeffapis: "\\ud800"',
      '- - - - 1',
      'just text',
    ];

    for (const body of cases) {
      const reply = await admin.call('PUT', '/v1/config', { body, headers: { 'content-type': 'application/yaml' } });
      assert.ok(reply.status === 400 || reply.status === 422, `${reply.status} for ${body.slice(0, 40)}`);
    }
    assert.equal(await admin.revision(), 0);
  });
});
