// What the marketplace tells of published versions, and to whom: states, lists, health, history.
// Must not reach into the database but to put reports of nodes there.
import assert from 'node:assert/strict';
import { samplePackage } from '../../support/market/packages.ts';
import { runSql } from '../../support/product/database.ts';
import { ofVersion, PLUGINS, publication, startTestMarket, type TestMarket, versionPath } from './support.ts';

describe('the marketplace', () => {
  let market: TestMarket;

  beforeEach(async () => {
    market = await startTestMarket();
  });

  afterEach(() => market.close());

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

  it('moves a version through its states, and the index tells each at once', async () => {
    await market.approve('1.0.0');
    const before = await market.openIndex();

    await market.changeState(200, '1.0.0', { state: 'deprecated', advisory: 'use 2' }, market.tokens.publisher);
    const deprecated = await market.openIndex();
    await market.changeState(200, '1.0.0', { state: 'yanked' });
    await market.changeState(403, '1.0.0', { state: 'approved' }, market.tokens.publisher);
    await market.changeState(403, '1.0.0', { state: 'revoked', advisory: 'x' }, market.tokens.publisher);
    await market.changeState(422, '1.0.0', { state: 'revoked' });
    await market.changeState(200, '1.0.0', { state: 'revoked', advisory: 'it leaks' });
    const revoked = await market.openIndex();
    const refused = await market.changeState(409, '1.0.0', { state: 'approved' });

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

    await market.changeState(200, '1.10.0', { state: 'yanked' });
    const second = await latest();
    await market.changeState(200, '1.10.0', { state: 'approved' });

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

  it('writes down who did what', async () => {
    await market.approve('1.0.0');
    await market.changeState(200, '1.0.0', { state: 'yanked', advisory: 'broken' });

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
    await market.review('1.0.0', 'approve');
    for (const token of [tokens.viewer, tokens.editor])
      await market.changeState(403, '1.0.0', { state: 'yanked' }, token);
    const shown = await admin.expect(200, 'GET', `${PLUGINS}/acme/hello`, { token: tokens.publisher });
    assert.equal(shown.body['health'], undefined);
  });
});
