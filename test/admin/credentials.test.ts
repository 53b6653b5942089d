// Credentials: made, checked, shown without their secrets, unique over all consumers.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { startTestAdmin, type TestAdmin } from './support.ts';

const pem = (key: { export(options: { type: 'spki'; format: 'pem' }): string | Buffer }): string =>
  String(key.export({ type: 'spki', format: 'pem' }));

describe('admin credentials', () => {
  let admin: TestAdmin;
  const PATH = '/v1/consumers/alice/credentials';

  before(async () => {
    admin = await startTestAdmin();
    await admin.expect(201, 'PUT', '/v1/consumers/alice', { body: {} });
    await admin.expect(201, 'PUT', '/v1/consumers/bob', { body: {} });
  });

  after(async () => {
    await admin.close();
  });

  it('makes an API key and shows it once', async () => {
    const made = await admin.expect(201, 'POST', PATH, { body: { type: 'key-auth' } });
    const key = String(made.body['key']);

    const shown = await admin.expect(200, 'GET', made.headers.get('location') ?? '');
    const put = await admin.expect(200, 'PUT', made.headers.get('location') ?? '', { body: shown.body });
    const everywhere = await Promise.all(
      ['/v1/audit', '/v1/revisions', '/v1/config', PATH].map((path) => admin.call('GET', path)),
    );

    assert.match(key, /^sp_[A-Za-z0-9_-]{43}$/);
    assert.equal(shown.body['key'], undefined);
    assert.equal(put.headers.get('sallyport-revision'), made.headers.get('sallyport-revision'));
    for (const reply of everywhere) assert.ok(!reply.text.includes(key));
  });

  it('refuses with 409 a key that anyone has already', async () => {
    const body = { type: 'key-auth', key: 'chosen-key-1' };
    await admin.expect(201, 'POST', PATH, { body });

    const refused = await admin.expect(409, 'POST', '/v1/consumers/bob/credentials', { body });

    assert.equal(refused.body['code'], 'CONFLICT');
  });

  it('hashes a password, and writing the same one again changes nothing', async () => {
    const body = { type: 'basic-auth', username: 'alice', password: 'canary-password' };
    const made = await admin.expect(201, 'POST', PATH, { body });
    const location = made.headers.get('location') ?? '';

    const same = await admin.expect(200, 'PUT', location, { body });
    const other = await admin.expect(200, 'PATCH', location, { body: { password: 'canary-other' } });
    const audit = await admin.call('GET', '/v1/audit?kind=credential');
    const revision = await admin.call('GET', `/v1/revisions/${other.headers.get('sallyport-revision')}/diff`);

    assert.equal(made.body['password'], undefined);
    assert.equal(same.headers.get('sallyport-revision'), made.headers.get('sallyport-revision'));
    assert.notEqual(other.headers.get('sallyport-revision'), made.headers.get('sallyport-revision'));
    assert.ok(!`${audit.text}${revision.text}`.includes('canary') && !revision.text.includes('scrypt'));
    assert.match(revision.text, /\[hidden\]/);
  });

  it('keeps a jwt secret sealed', async () => {
    const body = { type: 'jwt', key: 'issuer-1', algorithm: 'HS256', secret: 'canary-secret-of-32-bytes-or-more!' };
    const made = await admin.expect(201, 'POST', PATH, { body });

    const same = await admin.expect(200, 'PUT', made.headers.get('location') ?? '', { body });
    const config = await admin.expect(200, 'GET', '/v1/config');

    assert.deepEqual([made.body['secret'], made.body['key']], [undefined, 'issuer-1']);
    assert.equal(same.headers.get('sallyport-revision'), made.headers.get('sallyport-revision'));
    assert.ok(config.text.includes('sealedSecret') && !config.text.includes('canary'));
  });

  it('reads a secret that stays in the encoding that a change names', async () => {
    const body = { type: 'jwt', key: 'recoded', algorithm: 'HS256', secret: 'A'.repeat(43) };
    const made = await admin.expect(201, 'POST', PATH, { body });
    const short = await admin.expect(201, 'POST', PATH, { body: { ...body, key: 'short', secret: 'A'.repeat(32) } });
    const change = { body: { secretEncoding: 'base64url' } };

    const changed = await admin.expect(200, 'PATCH', made.headers.get('location') ?? '', change);
    const refused = await admin.expect(422, 'PATCH', short.headers.get('location') ?? '', change);

    assert.equal(changed.body['secretEncoding'], 'base64url');
    assert.equal(
      Number(changed.headers.get('sallyport-revision')),
      Number(short.headers.get('sallyport-revision')) + 1,
    );
    assert.match(refused.text, /\/secretEncoding/);
  });

  it('checks that a key fits the algorithm', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const privatePem = String(curve.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const cases: readonly (readonly [object, number, string])[] = [
      [{ algorithm: 'RS256', publicKey: pem(rsa.publicKey) }, 201, ''],
      [{ algorithm: 'PS512', publicKey: pem(rsa.publicKey) }, 201, ''],
      [{ algorithm: 'ES256', publicKey: pem(curve.publicKey) }, 201, ''],
      [{ algorithm: 'ES384', publicKey: pem(curve.publicKey) }, 422, '/publicKey'],
      [{ algorithm: 'RS256', publicKey: pem(curve.publicKey) }, 422, '/publicKey'],
      [{ algorithm: 'RS256', publicKey: pem(weak.publicKey) }, 422, '/publicKey'],
      [{ algorithm: 'ES256', publicKey: privatePem }, 422, '/publicKey'],
      [{ algorithm: 'ES256', publicKey: 'no key' }, 422, '/publicKey'],
      [{ algorithm: 'HS256', publicKey: pem(rsa.publicKey) }, 422, '/publicKey'],
      [{ algorithm: 'RS256', secret: 'x'.repeat(64) }, 422, '/secret'],
      [{ algorithm: 'HS256', secret: 'x'.repeat(31) }, 422, '/secret'],
      [{ algorithm: 'HS256', secret: 'x'.repeat(32) }, 201, ''],
      [{ algorithm: 'HS512', secret: 'x'.repeat(63) }, 422, '/secret'],
      [
        { algorithm: 'HS256', secret: Buffer.alloc(31, 1).toString('base64url'), secretEncoding: 'base64url' },
        422,
        '/secret',
      ],
      [{ algorithm: 'HS256', sealedSecret: 'v1.a.b.c' }, 422, '/sealedSecret'],
      [{ algorithm: 'HS256' }, 422, '/secret'],
      [{ algorithm: 'RS256' }, 422, '/publicKey'],
      [{ algorithm: 'RS256', publicKey: pem(rsa.publicKey), secret: 'x'.repeat(32) }, 422, '/publicKey'],
    ];

    for (const [index, [fields, status, pointer]] of cases.entries()) {
      const reply = await admin.expect(status, 'POST', PATH, { body: { type: 'jwt', key: `iss-${index}`, ...fields } });
      const [problem] = (reply.body['problems'] ?? []) as { pointer: string }[];
      assert.equal(problem?.pointer ?? '', pointer, JSON.stringify(fields));
    }
  });

  it('refuses an unknown type, and another type than the one it replaces', async () => {
    const made = await admin.expect(201, 'POST', PATH, { body: { type: 'key-auth' } });

    for (const type of ['toString', 'oauth2', 7, null]) await admin.expect(422, 'POST', PATH, { body: { type } });
    await admin.expect(422, 'PUT', made.headers.get('location') ?? '', {
      body: { type: 'basic-auth', username: 'x', password: 'y' },
    });
  });

  it('finds a credential only under its own consumer', async () => {
    const made = await admin.expect(201, 'POST', PATH, { body: { type: 'key-auth' } });

    await admin.expect(404, 'GET', `/v1/consumers/bob/credentials/${made.body['id']}`);
    await admin.expect(404, 'DELETE', `/v1/consumers/bob/credentials/${made.body['id']}`);
    await admin.expect(404, 'POST', '/v1/consumers/nobody/credentials', { body: { type: 'key-auth' } });
    await admin.expect(204, 'DELETE', made.headers.get('location') ?? '');
  });
});
