// What becomes of Kong's consumers, credentials, groups and certificates.
// Must not look into the import: only at what it writes and tells.
import assert from 'node:assert/strict';
import { importFile } from '../../support/import.ts';
import { makeAuthority, makeCertificate } from '../../support/wire/certificates.ts';

const ID = '6f1f6c2e-0b3f-4f53-8f5e-3c6b8a1d2e4f';
const SECRET = 'a-secret-of-at-least-thirty-two-bytes';

function importConsumers(
  consumers: readonly unknown[],
  rest: Record<string, unknown> = {},
): ReturnType<typeof importFile> {
  return importFile('kong', { _format_version: '3.0', consumers, ...rest });
}

describe('sallyport import kong, of consumers', function () {
  this.timeout(60_000);

  it('keeps who they are, their groups and credentials', async () => {
    const { code, config, told, checked } = await importConsumers(
      [
        {
          id: ID,
          username: 'alice',
          custom_id: '17',
          tags: ['t'],
          keyauth_credentials: [{ id: ID, key: 'alice-has-a-key', ttl: null }],
          basicauth_credentials: [{ username: 'alice', password: 'correct horse' }],
          jwt_secrets: [{ key: 'alice', algorithm: 'HS256', secret: SECRET }],
          acls: [{ group: 'customers' }],
          groups: [{ name: 'gold' }],
        },
      ],
      { consumer_groups: [{ name: 'gold' }] },
    );

    assert.deepEqual(told, []);
    assert.equal(code, 0);
    assert.equal(checked, '');
    assert.deepEqual(config?.consumers, [
      {
        id: ID,
        username: 'alice',
        customId: '17',
        groups: ['customers', 'gold'],
        tags: ['t'],
        credentials: [
          { type: 'key-auth', key: 'alice-has-a-key' },
          { type: 'basic-auth', username: 'alice', password: 'correct horse' },
          { type: 'jwt', key: 'alice', algorithm: 'HS256', secret: SECRET },
        ],
      },
    ]);
  });

  it('reads sections that name their consumer and group', async () => {
    const { config, code } = await importConsumers([{ id: ID, username: 'alice' }], {
      keyauth_credentials: [{ consumer: ID, key: 'alice-has-a-key' }],
      consumer_groups: [{ name: 'gold' }],
      consumer_group_consumers: [{ consumer: { username: 'alice' }, consumer_group: 'gold' }],
      plugins: [{ name: 'rate-limiting', consumer_group: 'gold', config: { minute: 5 } }],
    });

    assert.equal(code, 0);
    assert.deepEqual(config?.consumers?.[0]?.groups, ['gold']);
    assert.equal(config?.consumers?.[0]?.credentials?.length, 1);
    assert.deepEqual(config?.bindings?.[0]?.scope, { group: 'gold' });
  });

  it('turns secrets in base64 into base64url', async () => {
    const secret = Buffer.from('\u00ff\u00fe'.repeat(20), 'latin1').toString('base64');
    const { config, code, checked } = await importConsumers([{ username: 'a', jwt_secrets: [{ key: 'a', secret }] }], {
      plugins: [{ name: 'jwt', config: { secret_is_base64: true } }],
    });

    assert.equal(code, 0);
    assert.equal(checked, '');
    const [credential] = config?.consumers?.[0]?.credentials ?? [];
    assert.equal(credential?.['secretEncoding'], 'base64url');
    assert.equal(
      credential?.['secret'],
      Buffer.from('\u00ff\u00fe'.repeat(20), 'latin1').toString('base64url') + '='.repeat(2),
    );
  });

  for (const [what, section, credential] of [
    ['a key that expires', 'keyauth_credentials', { key: 'alice-has-a-key', ttl: 60 }],
    ['a short key', 'keyauth_credentials', { key: 'short' }],
    ['a key in a vault', 'keyauth_credentials', { key: '{vault://env/key-of-alice}' }],
    ['a hashed password', 'basicauth_credentials', { username: 'a', password: 'a'.repeat(40) }],
    ['a user name with a colon', 'basicauth_credentials', { username: 'a:b', password: 'correct' }],
    ['a short secret', 'jwt_secrets', { key: 'a', secret: 'short' }],
    ['an algorithm that is not there', 'jwt_secrets', { key: 'a', algorithm: 'EdDSA', rsa_public_key: 'x' }],
    ['a public key that is none', 'jwt_secrets', { key: 'a', algorithm: 'RS256', rsa_public_key: 'x' }],
    ['a signature', 'hmacauth_credentials', { username: 'a', secret: 'top-secret' }],
    ['a field that nobody knows', 'keyauth_credentials', { key: 'alice-has-a-key', only_on_sundays: true }],
  ] as const) {
    it(`leaves out ${what}, and shows no secret`, async () => {
      const { code, config, told, checked } = await importConsumers([{ username: 'alice', [section]: [credential] }]);

      assert.equal(code, 3);
      assert.equal(checked, '');
      assert.equal(config?.consumers?.[0]?.credentials, undefined);
      assert.equal(told.length, 1, told.join('\n'));
      assert.match(told[0] ?? '', /credential left out/);
      assert.doesNotMatch(told[0] ?? '', /alice-has-a-key|top-secret|"short"/);
    });
  }

  it('renames who has no name here, and gives nobody the name of another', async () => {
    const { config, told, checked } = await importConsumers([
      { username: 'a@b.example' },
      { username: 'a-b.example' },
      { custom_id: 'only id' },
    ]);

    assert.deepEqual(
      config?.consumers?.map(({ username }) => username),
      ['a-b.example-2', 'a-b.example', 'only-id'],
    );
    assert.equal(told.length, 2);
    assert.equal(checked, '');
  });

  it('leaves out a group of acl that has the name of a consumer group', async () => {
    const { config, told } = await importConsumers([{ username: 'a', acls: [{ group: 'gold' }] }], {
      consumer_groups: [{ name: 'gold' }],
    });

    assert.equal(config?.consumers?.[0]?.groups, undefined);
    assert.match(told.join(), /a consumer group has the same name/);
  });

  it('keeps certificates with their names, and leaves out what is none', async () => {
    const authority = makeAuthority('ca');
    const made = makeCertificate({ name: 'a.example', hosts: ['a.example', 'www.a.example'], issuer: authority });
    const { code, config, told, checked } = await importConsumers([], {
      certificates: [
        { id: ID, cert: made.certificate, key: made.privateKey, snis: [{ name: 'a.example' }] },
        { cert: 'none', key: 'none', snis: ['b.example'] },
      ],
      snis: [{ name: 'www.a.example', certificate: { id: ID } }],
    });

    assert.equal(code, 3);
    assert.equal(checked, '');
    assert.deepEqual(
      config?.certificates?.map(({ name }) => name),
      ['a.example'],
    );
    assert.equal(told.length, 1, told.join('\n'));
  });
});
