// The resources of the admin service over real HTTP and a real Postgres.
import assert from 'node:assert/strict';
import { startTestAdmin, type TestAdmin } from './support.ts';

const API = { name: 'crud', upstream: 'http://127.0.0.1:9000', routes: [{ name: 'all', paths: ['/crud'] }] };

describe('admin resources', () => {
  let admin: TestAdmin;

  before(async () => {
    admin = await startTestAdmin();
  });

  after(async () => {
    await admin.close();
  });

  it('creates, shows, replaces, patches and deletes an api', async () => {
    const created = await admin.expect(201, 'POST', '/v1/apis', { body: API });
    const location = created.headers.get('location') ?? '';
    const shown = await admin.expect(200, 'GET', '/v1/apis/crud');
    const again = await admin.expect(200, 'PUT', location, { body: shown.body });
    const patched = await admin.expect(200, 'PATCH', location, { body: { enabled: false, tags: ['a'] } });
    await admin.expect(204, 'DELETE', location);
    await admin.expect(404, 'GET', location);

    assert.deepEqual(shown.body, created.body);
    assert.deepEqual(again.body, created.body);
    assert.equal(again.headers.get('sallyport-revision'), created.headers.get('sallyport-revision'));
    assert.deepEqual([patched.body['enabled'], patched.body['tags']], [false, ['a']]);
    assert.equal(
      Number(patched.headers.get('sallyport-revision')),
      Number(created.headers.get('sallyport-revision')) + 1,
    );
  });

  it('creates with PUT under the name or the id in the path', async () => {
    const id = '7b0f8f3e-52a7-4e6c-9c5e-0d8f6b9a1c11';

    const byName = await admin.expect(201, 'PUT', '/v1/apis/by-name', { body: { upstream: API.upstream } });
    const byId = await admin.expect(201, 'PUT', `/v1/apis/${id}`, { body: { ...API, name: 'by-id', routes: [] } });

    assert.equal(byName.body['name'], 'by-name');
    assert.equal(byId.body['id'], id);
    assert.equal(byId.headers.get('location'), `/v1/apis/${id}`);
  });

  it('means the same by the same PUT twice, also when only the path says the name', async () => {
    const writes: readonly (readonly [string, object])[] = [
      ['/v1/apis/same', { upstream: API.upstream, routes: [] }],
      ['/v1/apis/same/routes/main', { paths: ['/twice'] }],
      ['/v1/upstreams/same', {}],
      ['/v1/consumers/same', {}],
    ];
    for (const [path, body] of writes) {
      const first = await admin.expect(201, 'PUT', path, { body });

      const again = await admin.expect(200, 'PUT', path, { body });

      assert.deepEqual(again.body, first.body);
      assert.equal(again.headers.get('sallyport-revision'), first.headers.get('sallyport-revision'));
    }
    const bound = { plugin: 'hello', name: 'twice', config: { greeting: 'Hi' } };
    await admin.expect(201, 'POST', '/v1/bindings', { body: bound });
    const put = await admin.expect(200, 'PUT', '/v1/bindings/twice', { body: { plugin: 'hello' } });
    assert.equal(put.body['name'], 'twice');
  });

  it('renames by a PUT with another name, which can be repeated with the id alone', async () => {
    const made = await admin.expect(201, 'PUT', '/v1/consumers/old', { body: {} });
    const body = { username: 'new' };
    await admin.expect(200, 'PUT', '/v1/consumers/old', { body });

    const again = await admin.expect(422, 'PUT', '/v1/consumers/old', { body });
    const byId = await admin.expect(200, 'PUT', `/v1/consumers/${made.body['id']}`, { body });

    assert.equal((again.body['problems'] as { pointer: string }[])[0]?.pointer, '/username');
    assert.equal(byId.body['id'], made.body['id']);
  });

  it('refuses a taken name with 409, also on a rename', async () => {
    await admin.expect(201, 'POST', '/v1/apis', { body: { ...API, name: 'taken' } });
    await admin.expect(201, 'POST', '/v1/apis', { body: { ...API, name: 'free' } });

    const created = await admin.expect(409, 'POST', '/v1/apis', { body: { ...API, name: 'taken' } });
    await admin.expect(409, 'PATCH', '/v1/apis/free', { body: { name: 'taken' } });

    assert.equal(created.body['code'], 'CONFLICT');
  });

  it('names each fault by a pointer into the body', async () => {
    const body = {
      name: 'bad',
      upstream: 'http://h',
      extra: 1,
      routes: [{ paths: ['no-slash'] }, { stripPath: 'yes' }],
    };

    const refused = await admin.expect(422, 'POST', '/v1/apis', { body });

    const problems = refused.body['problems'] as { pointer: string }[];
    assert.deepEqual(problems.map(({ pointer }) => pointer).sort(), [
      '/extra',
      '/routes/0/paths/0',
      '/routes/1/stripPath',
    ]);
    assert.equal(refused.headers.get('content-type'), 'application/problem+json');
  });

  it('names a fault that only the whole candidate shows', async () => {
    const body = { ...API, name: 'dangling', upstream: { name: 'nowhere' } };

    const refused = await admin.expect(422, 'POST', '/v1/apis', { body });

    assert.deepEqual(refused.body['problems'], [{ pointer: '/upstream/name', message: 'no upstream named nowhere' }]);
  });

  it('keeps the ids of routes over a replacement, by name and by content', async () => {
    const routes = [{ name: 'a', paths: ['/a'] }, { paths: ['/b'] }, { paths: ['/c'] }];
    const first = await admin.expect(201, 'PUT', '/v1/apis/kept', { body: { upstream: API.upstream, routes } });
    const before = first.body['routes'] as { id: string }[];

    const moved = [{ paths: ['/c'] }, { name: 'a', paths: ['/a2'] }, { paths: ['/d'] }];
    const second = await admin.expect(200, 'PUT', '/v1/apis/kept', {
      body: { name: 'kept', upstream: API.upstream, routes: moved },
    });

    const after = second.body['routes'] as { id: string }[];
    assert.deepEqual([after[0]?.id, after[1]?.id], [before[2]?.id, before[0]?.id]);
    assert.ok(!before.some(({ id }) => id === after[2]?.id));
  });

  it('refuses a route whose id another api has, also one that would move', async () => {
    const one = await admin.expect(201, 'PUT', '/v1/apis/owner', {
      body: { upstream: API.upstream, routes: [{ name: 'r', paths: ['/own'] }] },
    });
    const [route] = one.body['routes'] as object[];
    const document = { ...one.body, id: undefined, name: 'thief', routes: [route] };

    const refused = await admin.expect(409, 'PUT', '/v1/apis/thief', { body: document });
    await admin.expect(409, 'PUT', '/v1/apis/owner', {
      body: { ...one.body, routes: [route, { ...route, name: 'r2' }] },
    });

    assert.deepEqual((refused.body['problems'] as { pointer: string }[])[0]?.pointer, '/routes/0/id');
  });

  it('handles the routes of an api one by one', async () => {
    await admin.expect(201, 'PUT', '/v1/apis/parts', { body: { upstream: API.upstream } });

    const added = await admin.expect(201, 'POST', '/v1/apis/parts/routes', { body: { name: 'one', paths: ['/one'] } });
    await admin.expect(201, 'PUT', '/v1/apis/parts/routes/two', { body: { paths: ['/two'] } });
    const refused = await admin.expect(422, 'PATCH', '/v1/apis/parts/routes/two', { body: { paths: ['/a/../b'] } });
    const patched = await admin.expect(200, 'PATCH', '/v1/apis/parts/routes/one', { body: { methods: ['GET'] } });
    await admin.expect(204, 'DELETE', '/v1/apis/parts/routes/two');
    const list = await admin.expect(200, 'GET', '/v1/apis/parts/routes');

    assert.equal(added.headers.get('location'), `/v1/apis/parts/routes/${added.body['id']}`);
    assert.deepEqual(
      (refused.body['problems'] as { pointer: string }[]).map(({ pointer }) => pointer),
      ['/paths/0'],
    );
    assert.deepEqual(list.body['data'], [patched.body]);
  });

  it('refuses to delete an upstream in use, and renames it in the apis that use it', async () => {
    await admin.expect(201, 'PUT', '/v1/upstreams/pool', { body: { targets: [{ host: '127.0.0.1', port: 9000 }] } });
    await admin.expect(201, 'PUT', '/v1/apis/pooled', { body: { upstream: { name: 'pool' } } });

    const refused = await admin.expect(409, 'DELETE', '/v1/upstreams/pool');
    await admin.expect(200, 'PATCH', '/v1/upstreams/pool', { body: { name: 'pool2' } });
    const api = await admin.expect(200, 'GET', '/v1/apis/pooled');

    assert.deepEqual([refused.body['code'], refused.body['apis']], ['IN_USE', ['pooled']]);
    assert.deepEqual(api.body['upstream'], { name: 'pool2' });
  });

  it('binds a plugin by names, stores ids and fills the defaults of its configuration', async () => {
    const api = await admin.expect(201, 'PUT', '/v1/apis/bound', {
      body: { upstream: API.upstream, routes: [{ name: 'r', paths: ['/r'] }] },
    });
    const consumer = await admin.expect(201, 'PUT', '/v1/consumers/carol', { body: {} });

    const made = await admin.expect(201, 'POST', '/v1/bindings', {
      body: { plugin: 'key-auth', scope: { api: 'bound' } },
    });
    const onRoute = await admin.expect(201, 'POST', '/v1/apis/bound/bindings', {
      body: { plugin: 'cors', scope: { route: 'r' }, config: { origins: ['https://a.example'] } },
    });
    await admin.expect(201, 'POST', '/v1/bindings', {
      body: { plugin: 'request-transformer', scope: { consumer: 'carol' } },
    });
    const list = await admin.expect(200, 'GET', '/v1/apis/bound/bindings');

    const [route] = api.body['routes'] as { id: string }[];
    assert.deepEqual(made.body['scope'], { api: api.body['id'] });
    assert.deepEqual((made.body['config'] as Record<string, unknown>)['keyNames'], ['apikey']);
    assert.deepEqual(onRoute.body['scope'], { route: route?.id });
    assert.equal((list.body['data'] as unknown[]).length, 2);
    assert.ok(consumer.body['id']);
  });

  it('refuses a wrong binding with a pointer, and the same one twice with 409', async () => {
    await admin.expect(201, 'PUT', '/v1/apis/twice', { body: { upstream: API.upstream } });
    const body = { plugin: 'key-auth', scope: { api: 'twice' } };
    const pointersOf = async (bad: unknown): Promise<string[]> => {
      const refused = await admin.expect(422, 'POST', '/v1/bindings', { body: bad });
      return (refused.body['problems'] as { pointer: string }[]).map(({ pointer }) => pointer);
    };
    await admin.expect(201, 'POST', '/v1/bindings', { body });

    await admin.expect(409, 'POST', '/v1/bindings', { body });
    await admin.expect(201, 'POST', '/v1/bindings', { body: { ...body, name: 'second' } });

    assert.deepEqual(await pointersOf({ plugin: 'no-such' }), ['/plugin']);
    assert.deepEqual(await pointersOf({ ...body, config: { keyName: 'x' } }), ['/config/keyName']);
    assert.deepEqual(await pointersOf({ ...body, scope: { api: 'nowhere' } }), ['/scope/api']);
    assert.deepEqual(await pointersOf({ ...body, scope: { route: 'r-nowhere' } }), ['/scope/route']);
    assert.deepEqual(await pointersOf({ ...body, name: 'third', mandatory: true }), ['/mandatory']);
  });

  it('refuses to drop a bound route by a replacement, and drops both by deleting it', async () => {
    await admin.expect(201, 'PUT', '/v1/apis/guarded', {
      body: { upstream: API.upstream, routes: [{ name: 'r', paths: ['/g'] }] },
    });
    const binding = await admin.expect(201, 'POST', '/v1/apis/guarded/bindings', {
      body: { plugin: 'key-auth', scope: { route: 'r' } },
    });

    const refused = await admin.expect(409, 'PATCH', '/v1/apis/guarded', { body: { routes: [{ paths: ['/g'] }] } });
    await admin.expect(204, 'DELETE', '/v1/apis/guarded/routes/r');
    await admin.expect(404, 'GET', `/v1/bindings/${binding.body['id']}`);

    assert.deepEqual(refused.body['bindings'], [binding.body['id']]);
  });

  it('deletes the bindings and credentials of a consumer with it, and says so in a dry run', async () => {
    await admin.expect(201, 'PUT', '/v1/consumers/dave', { body: { groups: ['gold'] } });
    await admin.expect(201, 'POST', '/v1/consumers/dave/credentials', { body: { type: 'key-auth' } });
    await admin.expect(201, 'POST', '/v1/bindings', {
      body: { plugin: 'request-transformer', scope: { consumer: 'dave' } },
    });
    const before = await admin.revision();

    const dry = await admin.expect(200, 'DELETE', '/v1/consumers/dave?dryRun=true');
    const unchanged = await admin.revision();
    await admin.expect(204, 'DELETE', '/v1/consumers/dave');

    assert.deepEqual(dry.body['counts'], { create: 0, update: 0, delete: 3 });
    assert.equal(unchanged, before);
    assert.equal(await admin.revision(), before + 1);
  });

  it('answers a dry run of a bad write with its problems and the diff', async () => {
    const body = { name: 'dry', upstream: { name: 'nowhere' } };

    const refused = await admin.expect(422, 'POST', '/v1/apis?dryRun=true', { body });

    assert.equal((refused.body['problems'] as unknown[]).length, 1);
    assert.equal((refused.body['changes'] as unknown[]).length, 1);
    await admin.expect(404, 'GET', '/v1/apis/dry');
  });
});
