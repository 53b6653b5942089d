// Facts about a node that runs plugins of the marketplace: it takes them up while it serves.
// Must not try what is not in order: node-install-attacks.test.ts does.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { PluginIndex } from '../../../../../gateway/package/trust.ts';
import { sealSecret } from '../../../../../gateway/sources/secrets.ts';
import { type Market, NOW, sampleIndex } from '../../../../support/market/packages.ts';
import {
  installOf,
  makeVersion,
  type SignedPackage,
  storeIndex,
  storePackage,
  waitForInstall,
} from '../../../../support/market/stored-market.ts';
import { makeApi, publish, write } from '../../../../support/product/publish.ts';
import { until } from '../../../../support/until.ts';
import { type MarketStage, openMarketStage, SECRET_KEY } from './with-market.ts';

/** Nobody listens there. */
const NO_DATABASE = 'postgres://nobody@127.0.0.1:1/none';

describe('node with installs', function () {
  this.timeout(60_000);
  let stage: MarketStage;
  let databaseUrl: string;
  let market: Market;
  let first: SignedPackage;
  let second: SignedPackage;
  let index: PluginIndex;

  beforeEach(async () => {
    stage = await openMarketStage();
    ({ databaseUrl, market, first, second, index } = stage);
  });

  afterEach(() => stage.close());

  it('runs what is installed at its first start, and another version without a restart', async () => {
    const { waitForLog } = await stage.start();
    assert.equal(await stage.ask(), '1.0.0');
    await storePackage(databaseUrl, second);

    const revision = await stage.upgrade(second);
    await waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === revision);

    assert.equal(await stage.ask(), '2.0.0');
    const report = await waitForInstall(databaseUrl, ({ running }) => running === '2.0.0');
    assert.deepEqual(report, {
      plugin: 'acme/hello',
      wanted: '2.0.0',
      running: '2.0.0',
      problem: null,
      tier: 'process',
    });
  });

  it('runs what was installed when it starts without the database', async () => {
    await stage.start();
    assert.equal(await stage.ask(), '1.0.0');
    // A tidy stop writes the last good copy.
    await stage.stop();

    await stage.start(NO_DATABASE);

    assert.equal(await stage.ask(), '1.0.0');
  });

  it('runs it after a kill -9, too, once the copy is on disk', async () => {
    const killed = await stage.start();
    const copy = join(killed.dataDir, 'node', 'last-good');
    await until(() => existsSync(copy));
    killed.kill('SIGKILL');
    await killed.ended;

    await stage.start(NO_DATABASE);

    assert.equal(await stage.ask(), '1.0.0');
  });

  it('takes up a package that comes later than the revision that pins it', async () => {
    const { waitForLog } = await stage.start();
    const revision = await stage.upgrade(second);
    await waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === revision);
    assert.equal(await stage.ask(), '1.0.0');

    await storePackage(databaseUrl, second);

    await waitForInstall(databaseUrl, ({ running }) => running === '2.0.0');
    assert.equal(await stage.ask(), '2.0.0');
  });

  it('lends a plugin the secrets of its install, and says when one does not open', async () => {
    const permissions = { response: { headers: { write: ['x-hello'] } }, secrets: ['KEY'] };
    const code = `export const plugin = {
      setup: (config, host) => ({ key: host.secrets.get('KEY') }),
      onResponse: ({ response }, config, { key }) => response.headers.set('x-hello', key),
    };\n`;
    const files = { 'fixtures/greets.json': undefined };
    const version = makeVersion(market, '3.0.0', { manifest: { permissions }, code, files });
    await storePackage(databaseUrl, version);
    await storeIndex(databaseUrl, market, { ...sampleIndex(market, [first.pkg, version.pkg]), version: 20 });
    await stage.start();

    await stage.upgrade(version, { secrets: { KEY: sealSecret(SECRET_KEY, 'open-sesame') } });
    await waitForInstall(databaseUrl, ({ running }) => running === '3.0.0');
    assert.equal(await stage.ask(), 'open-sesame');

    await stage.upgrade(version, { secrets: { KEY: sealSecret(new Uint8Array(32), 'closed') } });
    const report = await waitForInstall(databaseUrl, ({ problem }) => problem !== null);
    assert.equal(report.problem?.code, 'SECRET_SEALED');
    assert.equal(await stage.ask(), 'open-sesame');
  });

  it('stops a version within a poll when the index revokes it', async () => {
    await stage.start();
    assert.equal(await stage.ask(), '1.0.0');
    const { sha256 } = first.pkg;
    const plugins = { 'acme/hello': { '1.0.0': { sha256, state: 'revoked', advisory: 'It leaks.' } } } as const;

    const from = performance.now();
    await storeIndex(databaseUrl, market, { ...index, version: index.version + 1, plugins });
    const report = await waitForInstall(databaseUrl, ({ running }) => running === null);

    assert.equal(report.problem?.code, 'REVOKED');
    assert.equal(await stage.ask(), 503);
    assert.ok(performance.now() - from < 6_000, 'it took longer than a poll');
  });

  for (const place of ['canary', 'shadow'] as const) {
    it(`stops a revoked ${place} within a poll, also while the installed version no longer verifies and goes on`, async () => {
      await storePackage(databaseUrl, second);
      const { waitForLog } = await stage.start();
      const { version, sha256, granted, manifest, configSchema } = installOf(second);
      const pin = { version, sha256, granted, manifest, configSchema, percent: 100, startedAt: NOW };
      const rule = { minExchanges: 100, maxErrorPart: 0.01, maxSlowdown: 2 };
      const revision = await stage.upgrade(
        first,
        place === 'shadow' ? { shadow: pin } : { canary: { ...pin, key: 'request', rule } },
      );
      await waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === revision);
      const before = await stage.ask();

      const entry = { sha256, state: 'revoked' } as const;
      const plugins = { 'acme/hello': { '2.0.0': entry } };
      await storeIndex(databaseUrl, market, { ...index, version: index.version + 1, plugins });
      const report = await waitForInstall(databaseUrl, ({ problem }) => problem !== null);
      await waitForLog((line) => line['message'] === 'a version was stopped: it was revoked');

      assert.equal(before, place === 'shadow' ? '1.0.0' : '2.0.0');
      assert.deepEqual([report.running, report.problem?.code], ['1.0.0', 'NOT_IN_INDEX']);
      assert.equal(await stage.ask(), '1.0.0');
    });
  }

  it('goes on with what runs when the fixtures of the next version fail', async () => {
    const fixture = {
      request: { method: 'GET', path: '/' },
      expect: { response: { headers: { 'x-hello': 'other' } } },
    };
    const files = { 'fixtures/greets.json': JSON.stringify(fixture) };
    const untrue = makeVersion(market, '3.0.0', { files });
    await stage.start();
    await storePackage(databaseUrl, untrue);
    await storeIndex(databaseUrl, market, {
      ...sampleIndex(market, [first.pkg, untrue.pkg]),
      version: index.version + 1,
    });

    await stage.upgrade(untrue);
    const report = await waitForInstall(databaseUrl, ({ problem }) => problem !== null);

    assert.equal(report.problem?.code, 'FIXTURE_FAILED');
    assert.equal(await stage.ask(), '1.0.0');
  });

  it('holds up no other change when a plugin does not load', async () => {
    const { waitForLog } = await stage.start();
    await stage.upgrade(second, { sha256: 'f'.repeat(64) });
    await waitForInstall(databaseUrl, ({ problem }) => problem !== null);

    const revision = await publish(databaseUrl, [write('api', makeApi('more', { upstream: stage.origin.url }))]);
    await waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === revision);

    assert.equal(await stage.ask('more'), '1.0.0');
  });
});
