// Hostile publishers, races, and a database that somebody else writes to.
// Must not test what a friendly publisher does.
import assert from 'node:assert/strict';
import { KEY_PROOF_TYPE } from '../../../admin/marketplace/publishers.ts';
import { addSignature, type Envelope, signEnvelope } from '../../../gateway/package/dsse.ts';
import { generateKeys, type KeyPair, toKeyEntry } from '../../../gateway/package/keys.ts';
import { runSql } from '../../support/database.ts';
import { samplePackage } from '../../support/packages.ts';
import { type Reply, startTestAdmin } from '../support.ts';
import { ofVersion, PLUGINS, publication, startTestMarket, type TestMarket } from './support.ts';

const PUBLISHERS = '/v1/marketplace/publishers';

describe('the marketplace under attack', () => {
  let market: TestMarket;
  let lines: string[];

  beforeEach(async () => {
    lines = [];
    const keep = (message: string): void => void lines.push(message);
    market = await startTestMarket({ log: { debug: keep, info: keep, warn: keep, error: keep } });
  });

  afterEach(() => market.close());

  const send = (status: number, body: unknown, token = market.tokens.publisher): Promise<Reply> =>
    market.admin.expect(status, 'POST', PLUGINS, { body, token });
  const path = (version: string): string => `${PLUGINS}/acme/hello/versions/${version}`;
  const makeToken = async (name: string): Promise<string> => {
    const made = await market.admin.expect(201, 'POST', '/v1/tokens', { body: { name, role: 'publisher' } });
    return String(made.body['token']);
  };
  const publicKeyOf = (keys: KeyPair): string => toKeyEntry(keys.publicKey).publicKey;
  const countRows = async (): Promise<number> => {
    const { body } = await market.admin.expect(200, 'GET', PLUGINS);
    return (body['data'] as unknown[]).length;
  };

  it('refuses what is not a package, and an envelope about another one, with a pointer and a reason', async () => {
    const good = publication(samplePackage(ofVersion('1.0.0')), market.keys);
    const other = publication(samplePackage(ofVersion('2.0.0')), market.keys);
    const statement = Buffer.from(good.envelope.payload, 'base64').toString();
    const changed = Buffer.from(statement.replace('1.0.0', '9.9.9')).toString('base64');
    const cases: readonly (readonly [string, object, string, string?])[] = [
      [
        'base64 with a space',
        { ...good, package: `${good.package.slice(0, -4)} ${good.package.slice(-4)}` },
        '/package',
      ],
      ['base64url', { ...good, package: '_-__' }, '/package'],
      ['no base64', { ...good, package: 'ö' }, '/package'],
      ['bytes of nothing', { ...good, package: 'AAAA' }, '/package', 'ARCHIVE_INVALID'],
      [
        'a package cut short',
        { ...good, package: Buffer.from(good.package, 'base64').subarray(0, 300).toString('base64') },
        '/package',
      ],
      [
        'the envelope of another version',
        { ...good, envelope: other.envelope },
        '/envelope/payload',
        'STATEMENT_MISMATCH',
      ],
      [
        'a statement that was changed',
        { ...good, envelope: { ...good.envelope, payload: changed } },
        '/envelope/payload',
      ],
      [
        'an envelope of another type',
        { ...good, envelope: { ...good.envelope, payloadType: 'text/plain' } },
        '/envelope/payload',
      ],
      [
        'no signature',
        { ...good, envelope: { ...good.envelope, signatures: [] } },
        '/envelope/signatures',
        'SIGNATURE_MISSING',
      ],
      [
        'a signature by a stranger',
        publication(samplePackage(ofVersion('1.0.0')), generateKeys()),
        '/envelope/signatures',
        'SIGNATURE_MISSING',
      ],
      [
        'a signature under the id of our key',
        {
          ...good,
          envelope: { ...good.envelope, signatures: [{ keyid: market.keys.keyid, sig: `${'A'.repeat(86)}==` }] },
        },
        '/envelope/signatures',
      ],
    ];

    for (const [what, body, pointer, reason] of cases) {
      const { body: problem } = await send(422, body);
      assert.equal(problem['code'], 'PACKAGE_REFUSED', what);
      assert.equal((problem['problems'] as { pointer: string }[])[0]?.pointer, pointer, what);
      if (reason !== undefined) assert.equal(problem['reason'], reason, what);
    }
    assert.equal(await countRows(), 0);
  });

  it('refuses 10 MB, and answers others meanwhile', async () => {
    const body = { package: 'A'.repeat(10_000_000), envelope: {} };

    const [refused, probe] = await Promise.all([
      market.admin.call('POST', PLUGINS, { body, token: market.tokens.publisher }),
      market.admin.call('GET', '/livez'),
    ]);

    assert.equal(refused.status, 413);
    assert.equal(probe.status, 200);
  });

  it('lets nobody publish in the namespace of another, not even with its key, nor take a namespace twice', async () => {
    const mallory = await makeToken('mallory');
    const keys = generateKeys();
    const asAcme = publication(samplePackage(ofVersion('1.0.0')), keys);

    const unregistered = await send(
      403,
      publication(samplePackage({ manifest: { name: 'mallory/x' } }), keys),
      mallory,
    );
    const taken = await market.admin.expect(409, 'POST', PUBLISHERS, { body: { namespace: 'acme' }, token: mallory });
    const foreign = await send(403, asAcme, mallory);
    const stolenKey = await send(403, publication(samplePackage(ofVersion('1.0.0')), market.keys), mallory);
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
    await send(201, publication(samplePackage(ofVersion('1.0.0')), next));
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

    const refused = await market.admin.expect(409, 'POST', `${path('1.0.0')}/review`, {
      body: { decision: 'approve' },
    });

    assert.equal(refused.body['code'], 'CHECKS_FAILED');
    assert.match(refused.text, /signature/);
  });

  it('drops signatures of strangers, so that the one of the marketplace always finds room', async () => {
    const body = publication(samplePackage(ofVersion('1.0.0')), market.keys);
    const strangers = Array.from({ length: 15 }, generateKeys);
    const envelope = strangers.reduce((signed, { privateKey }) => addSignature(signed, privateKey), body.envelope);

    await send(201, { ...body, envelope });
    const approved = await market.admin.expect(200, 'POST', `${path('1.0.0')}/review`, {
      body: { decision: 'approve' },
    });

    assert.equal((approved.body['envelope'] as Envelope).signatures.length, 2);
  });

  it('leaves room for its own signature when a publisher signs with all of many keys', async () => {
    const all = Array.from({ length: 15 }, generateKeys);
    for (const keys of all) {
      await market.admin.expect(201, 'POST', `${PUBLISHERS}/acme/keys`, { body: { publicKey: publicKeyOf(keys) } });
    }
    const seventeenth = await market.admin.expect(409, 'POST', `${PUBLISHERS}/acme/keys`, {
      body: { publicKey: publicKeyOf(generateKeys()) },
    });
    await send(201, publication(samplePackage(ofVersion('1.0.0')), market.keys, ...all));

    const approved = await market.admin.expect(200, 'POST', `${path('1.0.0')}/review`, {
      body: { decision: 'approve' },
    });

    assert.equal(seventeenth.body['code'], 'CONFLICT');
    assert.equal((approved.body['envelope'] as Envelope).signatures.length, 9);
  });

  it('bounds what waits for a review', async function () {
    this.timeout(60_000);
    for (let patch = 0; patch < 20; patch++) await market.publish(ofVersion(`1.0.${patch}`));

    const refused = await market.publish(ofVersion('1.0.20'), 409);

    assert.equal(refused.body['code'], 'CONFLICT');
    await market.publish(ofVersion('1.0.0'), 200);
  });

  it('keeps one of many that publish the same version at once, and says 200 or 409 to the others', async () => {
    const same = publication(samplePackage(ofVersion('1.0.0')), market.keys);
    const other = publication(samplePackage(ofVersion('1.0.0', { files: { 'README.md': '# b\n' } })), market.keys);
    const token = market.tokens.publisher;
    const bodies = Array.from({ length: 12 }, (_, index) => (index % 2 === 0 ? same : other));

    const replies = await Promise.all(bodies.map((body) => market.admin.call('POST', PLUGINS, { body, token })));

    const count = (status: number): number => replies.filter((reply) => reply.status === status).length;
    assert.deepEqual([count(201), count(200), count(409)], [1, 5, 6]);
  });

  it('lets one of many decisions through, and makes one index per change', async () => {
    await market.publish(ofVersion('1.0.0'));
    const before = (await market.openIndex()).version;
    const decide = (index: number): Promise<Reply> =>
      market.admin.call('POST', `${path('1.0.0')}/review`, {
        body: { decision: index % 2 === 0 ? 'approve' : 'reject' },
        token: market.tokens.reviewer,
      });

    const replies = await Promise.all(Array.from({ length: 8 }, (_, index) => decide(index)));

    assert.equal(replies.filter(({ status }) => status === 200).length, 1);
    assert.equal(replies.filter(({ status }) => status === 409).length, 7);
    const index = await market.openIndex();
    const { body } = await market.admin.expect(200, 'GET', path('1.0.0'));
    assert.equal(index.plugins['acme/hello'] !== undefined, body['state'] === 'approved');
    assert.equal(index.version > before, body['state'] === 'approved');
  });

  it('lets one decision through when two admin services get one each', async () => {
    const other = await startTestAdmin({ database: market.admin.database, marketplaceDir: market.folder });
    try {
      for (const version of ['1.0.0', '1.1.0', '1.2.0']) {
        await market.publish(ofVersion(version));

        const [one, another] = await Promise.all([
          market.admin.call('POST', `${path(version)}/review`, { body: { decision: 'approve' } }),
          other.call('POST', `${path(version)}/review`, { body: { decision: 'reject' } }),
        ]);

        assert.deepEqual([one.status, another.status].sort(), [200, 409]);
        const { body } = await market.admin.expect(200, 'GET', path(version));
        assert.equal(body['state'], one.status === 200 ? 'approved' : 'rejected');
      }
    } finally {
      await other.close();
    }
  });

  it('lists every change when many states change at once', async () => {
    for (const version of ['1.0.0', '1.1.0', '1.2.0', '1.3.0']) await market.approve(version);
    const replies = await Promise.all(
      ['1.0.0', '1.1.0', '1.2.0', '1.3.0'].map((version) =>
        market.admin.call('POST', `${path(version)}/state`, { body: { state: 'yanked' } }),
      ),
    );

    assert.deepEqual(new Set(replies.map(({ status }) => status)), new Set([200]));
    const states = Object.values((await market.openIndex()).plugins['acme/hello'] ?? {}).map(({ state }) => state);
    assert.deepEqual(states, ['yanked', 'yanked', 'yanked', 'yanked']);
  });

  it('takes hostile searches, categories, cursors and names for what they are', async () => {
    await market.approve('1.0.0');
    const hostile = [
      "'; DROP TABLE marketplace_plugins; --",
      "' OR '1'='1",
      '%',
      '_',
      '\\',
      ':search',
      '?',
      '??',
      '$1',
      '::text',
      '{}',
      'a\u0301\u{1f600}',
      ')(',
    ];

    for (const text of hostile) {
      for (const parameter of ['search', 'category']) {
        const reply = await market.admin.expect(200, 'GET', `${PLUGINS}?${parameter}=${encodeURIComponent(text)}`);
        assert.deepEqual(reply.body['data'], [], `${parameter} ${text}`);
      }
      const cursor = Buffer.from(JSON.stringify([text])).toString('base64url');
      await market.admin.expect(200, 'GET', `${PLUGINS}?cursor=${cursor}`);
      const encoded = encodeURIComponent(text);
      for (const one of [
        `${PLUGINS}/${encoded}/x`,
        `${PLUGINS}/acme/${encoded}`,
        path(encoded),
        `${PUBLISHERS}/${encoded}`,
      ]) {
        const reply = await market.admin.call('GET', one);
        assert.ok(reply.status === 404 || reply.status === 400, `${one} ${reply.status}`);
      }
    }
    assert.equal(await countRows(), 1);
  });

  describe('by somebody who writes to the database', () => {
    const evil = (): string =>
      samplePackage(ofVersion('1.0.0', { files: { 'README.md': '# evil\n' } })).toString('hex');

    it('approves no bytes but those that were published', async () => {
      const made = await market.publish(ofVersion('1.0.0'));
      await runSql(
        market.admin.database.url,
        `UPDATE plugin_packages SET bytes = decode('${evil()}', 'hex') WHERE sha256 = '${made.body['sha256']}'`,
      );

      const refused = await market.admin.call('POST', `${path('1.0.0')}/review`, { body: { decision: 'approve' } });

      await market.admin.expect(200, 'POST', `${path('1.0.0')}/review`, { body: { decision: 'reject' } });

      assert.ok(refused.status === 409 || refused.status === 422, refused.text);
      assert.deepEqual((await market.openIndex()).plugins, {});
    });

    it('leaves out of the index what its envelope does not say', async () => {
      await market.approve('1.0.0');
      await market.approve('1.1.0');
      await runSql(
        market.admin.database.url,
        `INSERT INTO plugin_packages (sha256, bytes) VALUES ('${'e'.repeat(64)}', 'x');
         UPDATE marketplace_versions SET sha256 = '${'e'.repeat(64)}' WHERE version = '1.0.0'`,
      );
      await market.approve('1.2.0');

      const { plugins } = await market.openIndex();

      assert.deepEqual(Object.keys(plugins['acme/hello'] ?? {}), ['1.1.0', '1.2.0']);
      assert.match(lines.join('\n'), /not what was approved/);
    });

    it('leaves out what only a row says is approved', async () => {
      await market.publish(ofVersion('1.0.0'));
      await runSql(market.admin.database.url, `UPDATE marketplace_versions SET state = 'approved'`);
      await market.approve('1.1.0');

      assert.deepEqual(Object.keys((await market.openIndex()).plugins['acme/hello'] ?? {}), ['1.1.0']);
    });

    it('keeps revoked what was revoked, also when the row is changed or gone', async () => {
      for (const version of ['1.0.0', '1.1.0']) {
        await market.approve(version);
        await market.admin.expect(200, 'POST', `${path(version)}/state`, {
          body: { state: 'revoked', advisory: 'bad' },
        });
      }
      await runSql(
        market.admin.database.url,
        `UPDATE marketplace_versions SET state = 'approved' WHERE version = '1.0.0';
         DELETE FROM marketplace_versions WHERE version = '1.1.0'`,
      );
      await market.approve('1.2.0');

      const versions = (await market.openIndex()).plugins['acme/hello'];

      assert.equal(versions?.['1.0.0']?.state, 'revoked');
      assert.equal(versions?.['1.1.0']?.state, 'revoked');
      assert.equal(versions?.['1.2.0']?.state, 'approved');
    });

    it('signs nothing under a root that is not its own', async () => {
      await market.publish(ofVersion('1.0.0'));
      const other = await startTestMarket();
      const { body } = await other.admin.expect(200, 'GET', '/v1/marketplace/index');
      await other.close();
      await runSql(
        market.admin.database.url,
        `INSERT INTO marketplace_root (version, envelope) VALUES (99, '${JSON.stringify(body['root'])}')`,
      );

      const refused = await market.admin.expect(503, 'POST', `${path('1.0.0')}/review`, {
        body: { decision: 'approve' },
      });

      assert.equal(refused.body['code'], 'SIGNING_UNAVAILABLE');
    });
  });
});
