// Bundles of which one part is not what was signed.
// Must not take a signature on trust: every part of a bundle is broken once.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BUNDLE_TYPE, type Bundle } from '../../../../admin/marketplace/mirror/bundle.ts';
import { addSignature, type Envelope, readPayload, signEnvelope } from '../../../../gateway/package/dsse.ts';
import { generateKeys, readPrivateKey } from '../../../../gateway/package/keys.ts';
import { openPackage } from '../../../../gateway/package/package.ts';
import { samplePackage, signPackage } from '../../../support/market/packages.ts';
import type { TestAdmin } from '../../support.ts';
import { ofVersion, PLUGINS, type TestMarket } from '../support.ts';
import { BUNDLE, type MirrorStage, openMirrorStage, take } from './mirror-stage.ts';

interface Contents {
  root: Envelope;
  index: Envelope;
  versions: { plugin: string; version: string; sha256: string; envelope: Envelope }[];
}

describe('a bundle of the marketplace', () => {
  let stage: MirrorStage;
  let market: TestMarket;
  let mirror: TestAdmin;

  beforeEach(async () => {
    stage = await openMirrorStage();
    ({ market, mirror } = stage);
  });

  afterEach(() => stage.close());

  it('is refused whole when any part of it is not what was signed', async () => {
    const good = await stage.exportBundle();
    const indexKey = readPrivateKey(await readFile(join(market.folder, 'index.key'), 'utf8'));
    const contents = JSON.parse(readPayload(good.contents, BUNDLE_TYPE).toString()) as Contents;
    const [first, second] = contents.versions;
    assert.ok(first && second);
    const resign = (change: Partial<Contents>, key = indexKey): Bundle => ({
      ...good,
      contents: signEnvelope(
        BUNDLE_TYPE,
        Buffer.from(JSON.stringify({ ...contents, type: 'sallyport-bundle/v1', ...change })),
        key,
      ),
    });
    const stranger = generateKeys().privateKey;
    const flip = (envelope: Envelope): Envelope => {
      const text = Buffer.from(envelope.payload, 'base64')
        .toString()
        .replace('approved', 'yanked')
        .replace('1.0.0', '1.0.9');
      return { ...envelope, payload: Buffer.from(text).toString('base64') };
    };
    const evil = samplePackage({ files: { 'README.md': '# evil\n' } }).toString('base64');
    const unlisted = samplePackage(ofVersion('3.0.0'));
    const { sha256 } = openPackage(unlisted);
    const signed = addSignature(signPackage(openPackage(unlisted), market.keys), indexKey);
    const attacks: Readonly<Record<string, unknown>> = {
      'a version that its index does not list': {
        ...resign({ versions: [{ plugin: 'acme/hello', version: '3.0.0', sha256, envelope: signed }] }),
        packages: [{ sha256, bytes: unlisted.toString('base64') }],
      },
      'contents by a stranger': resign({}, stranger),
      'contents without signature': { ...good, contents: { ...good.contents, signatures: [] } },
      'contents of another type': { ...good, contents: signEnvelope('text/plain', Buffer.from('{}'), indexKey) },
      'contents that are no JSON': { ...good, contents: signEnvelope(BUNDLE_TYPE, Buffer.from('{'), indexKey) },
      'contents that are null': { ...good, contents: signEnvelope(BUNDLE_TYPE, Buffer.from('null'), indexKey) },
      'an index that was changed': resign({ index: flip(contents.index) }),
      'an index by a stranger': resign({ index: addSignature({ ...contents.index, signatures: [] }, stranger) }),
      'a root by a stranger': resign({ root: addSignature({ ...contents.root, signatures: [] }, stranger) }),
      'the index in the place of the root': resign({ root: contents.index }),
      'a statement that was changed': resign({ versions: [{ ...first, envelope: flip(first.envelope) }] }),
      'a version under the envelope of another': resign({ versions: [{ ...first, envelope: second.envelope }] }),
      'a version without the approval': resign({
        versions: [{ ...first, envelope: { ...first.envelope, signatures: first.envelope.signatures.slice(0, 1) } }],
      }),
      'a version without its publisher': resign({
        versions: [{ ...first, envelope: { ...first.envelope, signatures: first.envelope.signatures.slice(1) } }],
      }),
      'a version under another name': resign({ versions: [{ ...first, plugin: 'acme/other' }] }),
      'a package that is another': { ...good, packages: good.packages.map((one) => ({ ...one, bytes: evil })) },
      'a package that is no base64': { ...good, packages: good.packages.map((one) => ({ ...one, bytes: '!!!!' })) },
      'a package that is missing': { ...good, packages: [] },
    };

    for (const [what, bundle] of Object.entries(attacks)) {
      const reply = await mirror.call('POST', BUNDLE, { body: { bundle } });
      assert.equal(reply.status, 422, `${what}: ${reply.status} ${reply.text}`);
      assert.equal(reply.body['code'], 'BUNDLE_REFUSED', what);
    }
    await mirror.expect(404, 'GET', '/v1/marketplace/index');
    assert.deepEqual((await mirror.expect(200, 'GET', PLUGINS)).body['data'], []);
    await take(mirror, 200, resign({}));
  });
});
