// Hostile packages, envelopes and questions.
// Must not publish in the name of another: publishers.test.ts does.
import assert from 'node:assert/strict';
import { addSignature, type Envelope } from '../../../../gateway/package/dsse.ts';
import { generateKeys } from '../../../../gateway/package/keys.ts';
import { samplePackage } from '../../../support/market/packages.ts';
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
      const { body: problem } = await market.send(422, body);
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

  it('drops signatures of strangers, so that the one of the marketplace always finds room', async () => {
    const body = publication(samplePackage(ofVersion('1.0.0')), market.keys);
    const strangers = Array.from({ length: 15 }, generateKeys);
    const envelope = strangers.reduce((signed, { privateKey }) => addSignature(signed, privateKey), body.envelope);

    await market.send(201, { ...body, envelope });
    const approved = await market.admin.expect(200, 'POST', `${versionPath('1.0.0')}/review`, {
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
    await market.send(201, publication(samplePackage(ofVersion('1.0.0')), market.keys, ...all));

    const approved = await market.admin.expect(200, 'POST', `${versionPath('1.0.0')}/review`, {
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
        versionPath(encoded),
        `${PUBLISHERS}/${encoded}`,
      ]) {
        const reply = await market.admin.call('GET', one);
        assert.ok(reply.status === 404 || reply.status === 400, `${one} ${reply.status}`);
      }
    }
    assert.equal(await countRows(), 1);
  });
});
