// From a registered namespace to an approved version that a gateway would load, over REST.
// Must not reach into the database.
import assert from 'node:assert/strict';
import { CONTRACT_VERSION } from '../../../gateway/core/plugin.ts';
import type { Envelope } from '../../../gateway/package/dsse.ts';
import { generateKeys } from '../../../gateway/package/keys.ts';
import { verifyPackage } from '../../../gateway/package/trust.ts';
import { samplePackage } from '../../support/market/packages.ts';
import {
  ofVersion,
  PLUGINS,
  PUBLISHERS,
  publication,
  publicKeyOf,
  type ShownCheck,
  startTestMarket,
  type TestMarket,
  versionPath,
} from './support.ts';

describe('the marketplace', () => {
  let market: TestMarket;

  beforeEach(async () => {
    market = await startTestMarket();
  });

  afterEach(() => market.close());

  it('takes a version, shows it to reviewers and its publisher only, and lists it once approved', async () => {
    const { admin, tokens } = market;
    const fixture = '{"request":{"method":"GET","path":"/"},"expect":{"response":{"headers":{"x-hello":"Hello"}}}}';
    const made = await market.publish(ofVersion('1.0.0', { files: { 'fixtures/greets.json': fixture } }));

    assert.equal(made.headers.get('location'), versionPath('1.0.0'));
    assert.equal(made.body['state'], 'pending');
    const checks = made.body['checks'] as ShownCheck[];
    assert.deepEqual(
      checks.map(({ name, result }) => `${name} ${result}`),
      [
        'package passed',
        'configSchema passed',
        'size passed',
        'imports passed',
        'secrets passed',
        'engine passed',
        'fixtures passed',
        'namespace passed',
        'permissions passed',
        'signature passed',
      ],
    );
    for (const token of [tokens.viewer, tokens.editor]) {
      await admin.expect(404, 'GET', versionPath('1.0.0'), { token });
      await admin.expect(404, 'GET', `${versionPath('1.0.0')}/package`, { token });
      await admin.expect(404, 'GET', `${PLUGINS}/acme/hello`, { token });
      assert.deepEqual((await admin.expect(200, 'GET', PLUGINS, { token })).body['data'], []);
      assert.deepEqual((await admin.expect(200, 'GET', `${PLUGINS}?state=pending`, { token })).body['data'], []);
    }
    for (const token of [tokens.publisher, tokens.reviewer]) {
      await admin.expect(200, 'GET', versionPath('1.0.0'), { token });
      const queue = await admin.expect(200, 'GET', `${PLUGINS}?state=pending`, { token });
      assert.deepEqual(
        (queue.body['data'] as { id: string; pending: number }[]).map(({ id, pending }) => [id, pending]),
        [['acme/hello', 1]],
      );
    }
    assert.deepEqual((await market.openIndex()).plugins, {});

    await market.review('1.0.0', 'approve');

    const shown = await admin.expect(200, 'GET', `${PLUGINS}/acme/hello`, { token: tokens.viewer });
    assert.equal(shown.body['latestVersion'], '1.0.0');
    const none = { calls: 0, errors: 0, timeouts: 0, totalMs: 0 };
    assert.deepEqual(shown.body['health'], { installed: null, nodes: { live: 0, running: 0 }, bindings: 0, ...none });
  });

  it('gives what a gateway needs to verify an approved package, by both signatures', async () => {
    await market.approve('1.0.0');

    const { body } = await market.admin.expect(200, 'GET', versionPath('1.0.0'));
    const index = await market.openIndex();
    const reply = await fetch(`${market.admin.url}${versionPath('1.0.0')}/package`, {
      headers: { authorization: `Bearer ${market.tokens.viewer}` },
    });
    const bytes = Buffer.from(await reply.arrayBuffer());
    const manifest = body['manifest'] as { readonly permissions: object };
    const verdict = verifyPackage({
      bytes,
      envelope: body['envelope'] as Envelope,
      index,
      policy: { require: ['publisher', 'marketplace'] },
      pinned: { id: 'acme/hello', version: '1.0.0', sha256: String(body['sha256']), granted: manifest.permissions },
      contractVersion: CONTRACT_VERSION,
    });

    assert.equal(reply.headers.get('content-type'), 'application/gzip');
    assert.equal(reply.headers.get('etag'), `"${body['sha256']}"`);
    assert.ok(verdict.ok, JSON.stringify(verdict));
    assert.equal(verdict.trust, 'marketplace');
    assert.equal(index.publishers['acme']?.level, 0);
  });

  it('keeps versions as they are: the same bytes again are 200, others 409', async () => {
    await market.publish(ofVersion('1.0.0'));

    const again = await market.publish(ofVersion('1.0.0'), 200);
    const other = await market.publish(ofVersion('1.0.0', { files: { 'README.md': '# Another\n' } }), 409);

    assert.equal(again.body['state'], 'pending');
    assert.equal(other.body['code'], 'VERSION_EXISTS');
  });

  it('says of a new version what it asks for beyond the one approved before', async () => {
    await market.approve('1.0.0');
    const same = await market.publish(ofVersion('1.0.1'));
    const more = await market.publish(
      ofVersion('1.1.0', {
        manifest: { permissions: { response: { headers: { write: ['x-hello', 'set-cookie'] } }, secrets: ['KEY'] } },
      }),
    );

    const checkOf = ({ body }: typeof same): ShownCheck | undefined =>
      (body['checks'] as ShownCheck[]).find(({ name }) => name === 'permissions');
    assert.equal(checkOf(same)?.result, 'passed');
    assert.equal(checkOf(more)?.result, 'warned');
    assert.match(checkOf(more)?.detail ?? '', /\/response\/headers.*set-cookie.*\/secrets\/0/);
  });

  it('keeps a version whose checks failed from being approved, whoever tries', async () => {
    const code = `import fs from 'node:fs'; export const plugin = { onResponse() { fs.readFileSync('x'); } };`;
    const made = await market.publish(ofVersion('1.0.0', { files: { 'index.js': code } }));

    assert.ok(
      (made.body['checks'] as ShownCheck[]).some(({ name, result }) => name === 'imports' && result === 'failed'),
    );
    for (const token of [market.tokens.reviewer, undefined]) {
      const refused = await market.admin.expect(409, 'POST', `${versionPath('1.0.0')}/review`, {
        body: { decision: 'approve' },
        ...(token === undefined ? {} : { token }),
      });
      assert.equal(refused.body['code'], 'CHECKS_FAILED');
      assert.match(refused.text, /node:fs/);
    }
    await market.review('1.0.0', 'reject');
    assert.deepEqual((await market.openIndex()).plugins, {});
  });

  it('tells what a dry run would do, and does not do it', async () => {
    const body = publication(samplePackage(ofVersion('1.0.0')), market.keys);
    const preview = await market.admin.expect(200, 'POST', `${PLUGINS}?dryRun=true`, {
      body,
      token: market.tokens.publisher,
    });

    assert.deepEqual(preview.body['counts'], { create: 1, update: 0, delete: 0 });
    assert.equal((preview.body['checks'] as ShownCheck[]).length, 10);
    await market.admin.expect(404, 'GET', versionPath('1.0.0'));
    await market.publish(ofVersion('1.0.0'));
  });

  it('shows README and CHANGELOG as text and as harmless HTML', async () => {
    const readme = '# Hi\n\n<script>alert(1)</script> [x](javascript:alert(1))\n';
    const made = await market.publish(ofVersion('1.0.0', { files: { 'README.md': readme } }));

    const shown = made.body['readme'] as { text: string; html: string };
    assert.equal(shown.text, readme);
    assert.match(shown.html, /^<h1>Hi<\/h1>/);
    assert.doesNotMatch(shown.html, /<script|href/);
    assert.equal(made.body['changelog'], null);
  });

  it('warns when a namespace could be taken for another', async () => {
    const keys = generateKeys();
    await market.admin.expect(201, 'POST', PUBLISHERS, {
      body: { namespace: 'acrne', keys: [publicKeyOf(keys)] },
    });
    const body = publication(samplePackage({ manifest: { name: 'acrne/hello' } }), keys);
    const made = await market.admin.expect(201, 'POST', PLUGINS, { body });

    const check = (made.body['checks'] as ShownCheck[]).find(({ name }) => name === 'namespace');
    assert.equal(check?.result, 'warned');
    assert.match(check?.detail ?? '', /acme/);
  });
});
