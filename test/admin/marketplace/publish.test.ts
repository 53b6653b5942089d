// From a registered namespace to an approved version that a gateway would load, over REST.
// Must not reach into the database but to see what is there.
import assert from 'node:assert/strict';
import { CONTRACT_VERSION } from '../../../gateway/core/plugin.ts';
import type { Envelope } from '../../../gateway/package/dsse.ts';
import { generateKeys, toKeyEntry } from '../../../gateway/package/keys.ts';
import { verifyPackage } from '../../../gateway/package/trust.ts';
import { runSql } from '../../support/database.ts';
import { samplePackage } from '../../support/packages.ts';
import { ofVersion, PLUGINS, publication, startTestMarket, type TestMarket } from './support.ts';

type Check = { readonly name: string; readonly result: string; readonly detail: string };

describe('the marketplace', () => {
  let market: TestMarket;

  beforeEach(async () => {
    market = await startTestMarket();
  });

  afterEach(() => market.close());

  const versionPath = (version: string): string => `${PLUGINS}/acme/hello/versions/${version}`;
  const review = (version: string, decision: string, token = market.tokens.reviewer): Promise<unknown> =>
    market.admin.expect(200, 'POST', `${versionPath(version)}/review`, { body: { decision }, token });
  const changeState = (
    status: number,
    version: string,
    body: object,
    token = market.tokens.reviewer,
  ): ReturnType<TestMarket['admin']['expect']> =>
    market.admin.expect(status, 'POST', `${versionPath(version)}/state`, { body, token });

  it('takes a version, shows it to reviewers and its publisher only, and lists it once approved', async () => {
    const { admin, tokens } = market;
    const fixture = '{"request":{"method":"GET","path":"/"},"expect":{"response":{"headers":{"x-hello":"Hello"}}}}';
    const made = await market.publish(ofVersion('1.0.0', { files: { 'fixtures/greets.json': fixture } }));

    assert.equal(made.headers.get('location'), versionPath('1.0.0'));
    assert.equal(made.body['state'], 'pending');
    const checks = made.body['checks'] as Check[];
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

    await review('1.0.0', 'approve');

    const shown = await admin.expect(200, 'GET', `${PLUGINS}/acme/hello`, { token: tokens.viewer });
    assert.equal(shown.body['latestVersion'], '1.0.0');
    const none = { calls: 0, errors: 0, timeouts: 0, totalMs: 0 };
    assert.deepEqual(shown.body['health'], { installed: null, nodes: { live: 0, running: 0 }, bindings: 0, ...none });
  });

  it('sums up what live nodes say of a plugin', async () => {
    await market.approve('1.0.0');
    const report = (calls: number): string =>
      JSON.stringify({
        plugins: [
          { plugin: 'acme/hello', calls, errors: 1, timeouts: 0, totalMs: 2.5 },
          { plugin: 'other', calls: 9 },
        ],
      });
    const runs = (running: string | null): string =>
      JSON.stringify([{ plugin: 'acme/hello', wanted: '1.0.0', running, problem: null }]);
    const rows = [
      ['now()', report(10), runs('1.0.0')],
      ['now()', report(5), runs(null)],
      [`now() - interval '1 hour'`, report(1000), runs('1.0.0')],
    ];
    for (const [seen, health, plugins] of rows) {
      await runSql(
        market.admin.database.url,
        `INSERT INTO nodes (id, name, mode, version, started_at, last_seen_at, revision, offered_revision, workers, health, plugins)
         VALUES (gen_random_uuid(), 'n', 'central', '0', now(), ${seen}, 0, 0, '[]', '${health}', '${plugins}')`,
      );
    }

    const shown = await market.admin.expect(200, 'GET', `${PLUGINS}/acme/hello`, { token: market.tokens.editor });

    assert.deepEqual(shown.body['health'], {
      installed: null,
      nodes: { live: 2, running: 1 },
      bindings: 0,
      calls: 15,
      errors: 2,
      timeouts: 0,
      totalMs: 5,
    });
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

    const checkOf = ({ body }: typeof same): Check | undefined =>
      (body['checks'] as Check[]).find(({ name }) => name === 'permissions');
    assert.equal(checkOf(same)?.result, 'passed');
    assert.equal(checkOf(more)?.result, 'warned');
    assert.match(checkOf(more)?.detail ?? '', /\/response\/headers.*set-cookie.*\/secrets\/0/);
  });

  it('keeps a version whose checks failed from being approved, whoever tries', async () => {
    const code = `import fs from 'node:fs'; export const plugin = { onResponse() { fs.readFileSync('x'); } };`;
    const made = await market.publish(ofVersion('1.0.0', { files: { 'index.js': code } }));

    assert.ok((made.body['checks'] as Check[]).some(({ name, result }) => name === 'imports' && result === 'failed'));
    for (const token of [market.tokens.reviewer, undefined]) {
      const refused = await market.admin.expect(409, 'POST', `${versionPath('1.0.0')}/review`, {
        body: { decision: 'approve' },
        ...(token === undefined ? {} : { token }),
      });
      assert.equal(refused.body['code'], 'CHECKS_FAILED');
      assert.match(refused.text, /node:fs/);
    }
    await review('1.0.0', 'reject');
    assert.deepEqual((await market.openIndex()).plugins, {});
  });

  it('moves a version through its states, and the index tells each at once', async () => {
    await market.approve('1.0.0');
    const before = await market.openIndex();

    await changeState(200, '1.0.0', { state: 'deprecated', advisory: 'use 2' }, market.tokens.publisher);
    const deprecated = await market.openIndex();
    await changeState(200, '1.0.0', { state: 'yanked' });
    await changeState(403, '1.0.0', { state: 'approved' }, market.tokens.publisher);
    await changeState(403, '1.0.0', { state: 'revoked', advisory: 'x' }, market.tokens.publisher);
    await changeState(422, '1.0.0', { state: 'revoked' });
    await changeState(200, '1.0.0', { state: 'revoked', advisory: 'it leaks' });
    const revoked = await market.openIndex();
    const refused = await changeState(409, '1.0.0', { state: 'approved' });

    assert.ok(deprecated.version > before.version && revoked.version > deprecated.version);
    const entryOf = (index: typeof before): unknown => index.plugins['acme/hello']?.['1.0.0'];
    const sha256 = before.plugins['acme/hello']?.['1.0.0']?.sha256;
    assert.deepEqual(entryOf(before), { sha256, state: 'approved' });
    assert.deepEqual(entryOf(deprecated), { sha256, state: 'deprecated', advisory: 'use 2' });
    assert.deepEqual(entryOf(revoked), { sha256, state: 'revoked', advisory: 'it leaks' });
    assert.equal(refused.body['code'], 'STATE_REFUSED');
  });

  it('offers the newest version that may be installed, and falls back when it is yanked', async () => {
    for (const version of ['1.2.0', '1.10.0', '1.9.0']) await market.approve(version);
    const latest = async (): Promise<unknown> =>
      (await market.admin.expect(200, 'GET', `${PLUGINS}/acme/hello`)).body['latestVersion'];
    const first = await latest();

    await changeState(200, '1.10.0', { state: 'yanked' });
    const second = await latest();
    await changeState(200, '1.10.0', { state: 'approved' });

    assert.deepEqual([first, second, await latest()], ['1.10.0', '1.9.0', '1.10.0']);
  });

  it('decides only upon the bytes that were looked at', async () => {
    await market.publish(ofVersion('1.0.0'));

    const refused = await market.admin.expect(412, 'POST', `${versionPath('1.0.0')}/review`, {
      body: { decision: 'approve', sha256: 'a'.repeat(64) },
      token: market.tokens.reviewer,
    });

    assert.equal(refused.body['code'], 'PRECONDITION_FAILED');
    assert.deepEqual((await market.openIndex()).plugins, {});
  });

  it('searches by text and category, page by page', async () => {
    const names = ['alpha', 'beta', 'gamma'];
    for (const name of names) {
      const manifest = {
        name: `acme/${name}`,
        title: `The ${name}`,
        categories: [name === 'beta' ? 'security' : 'other'],
      };
      await market.publish({ manifest });
      await market.admin.expect(200, 'POST', `${PLUGINS}/acme/${name}/versions/1.2.0/review`, {
        body: { decision: 'approve' },
      });
    }
    const idsOf = async (query: string): Promise<string[]> => {
      const { body } = await market.admin.expect(200, 'GET', `${PLUGINS}${query}`);
      return (body['data'] as { id: string }[]).map(({ id }) => id);
    };

    assert.deepEqual(await idsOf('?search=THE%20BETA'), ['acme/beta']);
    assert.deepEqual(await idsOf('?category=security'), ['acme/beta']);
    assert.deepEqual(await idsOf('?search=nothing'), []);
    const pages: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const query: string = cursor === '' ? '?limit=1' : `?limit=1&cursor=${cursor}`;
      const { body }: Awaited<ReturnType<TestMarket['publish']>> = await market.admin.expect(
        200,
        'GET',
        `${PLUGINS}${query}`,
      );
      pages.push(...(body['data'] as { id: string }[]).map(({ id }) => id));
      cursor = body['next'] as string | null;
    }
    assert.deepEqual(pages, ['acme/alpha', 'acme/beta', 'acme/gamma']);
  });

  it('tells what a dry run would do, and does not do it', async () => {
    const body = publication(samplePackage(ofVersion('1.0.0')), market.keys);
    const preview = await market.admin.expect(200, 'POST', `${PLUGINS}?dryRun=true`, {
      body,
      token: market.tokens.publisher,
    });

    assert.deepEqual(preview.body['counts'], { create: 1, update: 0, delete: 0 });
    assert.equal((preview.body['checks'] as Check[]).length, 10);
    await market.admin.expect(404, 'GET', versionPath('1.0.0'));
    await market.publish(ofVersion('1.0.0'));
  });

  it('writes down who did what', async () => {
    await market.approve('1.0.0');
    await changeState(200, '1.0.0', { state: 'yanked', advisory: 'broken' });

    const { body } = await market.admin.expect(200, 'GET', '/v1/audit?kind=version');

    assert.deepEqual(
      (body['data'] as { actor: string; action: string; entityId: string }[]).map((row) => [
        row.actor,
        row.action,
        row.entityId,
      ]),
      [
        ['reviewer', 'version.yanked', 'acme/hello@1.0.0'],
        ['reviewer', 'version.approve', 'acme/hello@1.0.0'],
        ['acme-ci', 'version.publish', 'acme/hello@1.0.0'],
      ],
    );
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

  it('keeps publishers and reviewers out of the configuration, and editors out of the marketplace', async () => {
    const { admin, tokens } = market;
    for (const token of [tokens.publisher, tokens.reviewer]) {
      for (const path of ['/v1/apis', '/v1/config', '/v1/nodes', '/v1/audit', '/v1/tokens', '/v1/consumers']) {
        await admin.expect(403, 'GET', path, { token });
      }
      await admin.expect(403, 'PUT', '/v1/apis/x', { body: { upstream: 'http://h' }, token });
      await admin.expect(403, 'GET', '/v1/marketplace/bundle', { token });
      await admin.expect(200, 'GET', '/v1/openapi.json', { token });
    }
    const body = publication(samplePackage(), market.keys);
    for (const token of [tokens.viewer, tokens.editor, tokens.reviewer]) {
      await admin.expect(403, 'POST', PLUGINS, { body, token });
    }
    await market.publish(ofVersion('1.0.0'));
    for (const token of [tokens.publisher, tokens.viewer, tokens.editor]) {
      await admin.expect(403, 'POST', `${versionPath('1.0.0')}/review`, { body: { decision: 'approve' }, token });
    }
    await review('1.0.0', 'approve');
    for (const token of [tokens.viewer, tokens.editor]) await changeState(403, '1.0.0', { state: 'yanked' }, token);
    const shown = await admin.expect(200, 'GET', `${PLUGINS}/acme/hello`, { token: tokens.publisher });
    assert.equal(shown.body['health'], undefined);
  });

  it('warns when a namespace could be taken for another', async () => {
    const keys = generateKeys();
    const publicKey = toKeyEntry(keys.publicKey).publicKey;
    await market.admin.expect(201, 'POST', '/v1/marketplace/publishers', {
      body: { namespace: 'acrne', keys: [publicKey] },
    });
    const body = publication(samplePackage({ manifest: { name: 'acrne/hello' } }), keys);
    const made = await market.admin.expect(201, 'POST', PLUGINS, { body });

    const check = (made.body['checks'] as Check[]).find(({ name }) => name === 'namespace');
    assert.equal(check?.result, 'warned');
    assert.match(check?.detail ?? '', /acme/);
  });
});
