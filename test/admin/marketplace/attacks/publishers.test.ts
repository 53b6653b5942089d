// Publishers that take what is not theirs: namespaces, keys, levels.
// Must not send what is not a package: packages.test.ts does.
import assert from 'node:assert/strict';
import { KEY_PROOF_TYPE } from '../../../../admin/marketplace/publishers.ts';
import { type Envelope, signEnvelope } from '../../../../gateway/package/dsse.ts';
import { generateKeys } from '../../../../gateway/package/keys.ts';
import { samplePackage } from '../../../support/market/packages.ts';
import type { Reply } from '../../support.ts';
import {
  ofVersion,
  PLUGINS,
  PUBLISHERS,
  publication,
  publicKeyOf,
  startTestMarket,
  type TestMarket,
  versionPath,
} from '../support.ts';

describe('the marketplace under attack', () => {
  let market: TestMarket;

  beforeEach(async () => {
    market = await startTestMarket();
  });

  afterEach(() => market.close());

  const makeToken = async (name: string): Promise<string> => {
    const made = await market.admin.expect(201, 'POST', '/v1/tokens', { body: { name, role: 'publisher' } });
    return String(made.body['token']);
  };

  it('lets nobody publish in the namespace of another, not even with its key, nor take a namespace twice', async () => {
    const mallory = await makeToken('mallory');
    const keys = generateKeys();
    const asAcme = publication(samplePackage(ofVersion('1.0.0')), keys);

    const unregistered = await market.send(
      403,
      publication(samplePackage({ manifest: { name: 'mallory/x' } }), keys),
      mallory,
    );
    const taken = await market.admin.expect(409, 'POST', PUBLISHERS, { body: { namespace: 'acme' }, token: mallory });
    const foreign = await market.send(403, asAcme, mallory);
    const stolenKey = await market.send(403, publication(samplePackage(ofVersion('1.0.0')), market.keys), mallory);
    const added = await market.admin.expect(403, 'POST', `${PUBLISHERS}/acme/keys`, {
      body: { publicKey: publicKeyOf(keys) },
      token: mallory,
    });
    const removed = await market.admin.expect(403, 'DELETE', `${PUBLISHERS}/acme/keys/${market.keys.keyid}`, {
      token: mallory,
    });

    assert.equal(taken.body['code'], 'CONFLICT');
    for (const reply of [unregistered, foreign, stolenKey, added, removed]) {
      assert.equal(reply.body['code'], 'NAMESPACE_FOREIGN');
    }
  });

  it('gives a publisher no level, no token of others, no namespace of the platform and at most five', async () => {
    const token = await makeToken('eve');
    const register = (status: number, body: object): Promise<Reply> =>
      market.admin.expect(status, 'POST', PUBLISHERS, { body, token });

    await register(422, { namespace: 'eve', level: 3 });
    await register(422, { namespace: 'eve', token: 'acme-ci' });
    const platform = await register(403, { namespace: 'sallyport' });
    for (let number = 0; number < 5; number++) await register(201, { namespace: `eve${number}x${number}` });
    const sixth = await register(409, { namespace: 'another' });
    await market.admin.expect(403, 'PATCH', `${PUBLISHERS}/acme`, { body: { level: 3 }, token });
    await market.admin.expect(422, 'PATCH', `${PUBLISHERS}/acme`, { body: { token: 'viewer' } });

    assert.equal(platform.body['code'], 'NAMESPACE_FOREIGN');
    assert.equal(sixth.body['code'], 'CONFLICT');
  });

  it('lets nobody publish for the platform without a key that the root names, not even an owner', async () => {
    const keys = generateKeys();
    await market.admin.expect(201, 'POST', PUBLISHERS, { body: { namespace: 'sallyport', keys: [publicKeyOf(keys)] } });

    const refused = await market.admin.expect(422, 'POST', PLUGINS, {
      body: publication(samplePackage({ manifest: { name: 'sallyport/hello' } }), keys),
    });

    assert.equal(refused.body['reason'], 'SIGNATURE_MISSING');
  });

  it('takes a new key from a token alone for nothing: a key of the namespace must vouch, lately, for this key here', async () => {
    const next = generateKeys();
    const token = market.tokens.publisher;
    const prove = (told: object, key = market.keys): Envelope =>
      signEnvelope(KEY_PROOF_TYPE, Buffer.from(JSON.stringify(told)), key.privateKey);
    const word = { namespace: 'acme', keyid: next.keyid, createdAt: new Date().toISOString() };
    const add = (status: number, proof?: unknown): Promise<Reply> =>
      market.admin.expect(status, 'POST', `${PUBLISHERS}/acme/keys`, {
        body: { publicKey: publicKeyOf(next), ...(proof === undefined ? {} : { proof }) },
        token,
      });

    await add(422);
    for (const proof of [
      prove(word, next),
      prove({ ...word, namespace: 'other' }),
      prove({ ...word, keyid: market.keys.keyid }),
      prove({ ...word, createdAt: '2026-01-01T00:00:00Z' }),
      prove({ ...word, createdAt: undefined }),
      { ...prove(word), payloadType: 'application/vnd.sallyport.plugin.v1+json' },
      signEnvelope(KEY_PROOF_TYPE, Buffer.from('null'), market.keys.privateKey),
      signEnvelope(KEY_PROOF_TYPE, Buffer.from('{'), market.keys.privateKey),
    ]) {
      const refused = await add(422, proof);
      assert.equal(refused.body['code'], 'PACKAGE_REFUSED');
    }
    await add(201, prove(word));
    await market.send(201, publication(samplePackage(ofVersion('1.0.0')), next));
    await market.admin.expect(204, 'DELETE', `${PUBLISHERS}/acme/keys/${market.keys.keyid}`, { token });
    const last = await market.admin.expect(409, 'DELETE', `${PUBLISHERS}/acme/keys/${next.keyid}`, { token });

    assert.equal(last.body['code'], 'IN_USE');
    assert.deepEqual(
      (await market.openIndex()).publishers['acme']?.keys.map(({ keyid }) => keyid),
      [next.keyid],
    );
  });

  it('does not approve what is signed by a key that the namespace no longer has', async () => {
    await market.publish(ofVersion('1.0.0'));
    await market.admin.expect(204, 'DELETE', `${PUBLISHERS}/acme/keys/${market.keys.keyid}`);

    const refused = await market.admin.expect(409, 'POST', `${versionPath('1.0.0')}/review`, {
      body: { decision: 'approve' },
    });

    assert.equal(refused.body['code'], 'CHECKS_FAILED');
    assert.match(refused.text, /signature/);
  });
});
