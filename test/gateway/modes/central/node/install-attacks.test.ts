// A node whose database holds installs, packages and indexes that nobody signed so: it believes no database.
// Must not use the admin service: what it would refuse is what is tried here.
import assert from 'node:assert/strict';
import { generateKeys } from '../../../../../gateway/package/keys.ts';
import type { PluginIndex } from '../../../../../gateway/package/trust.ts';
import type { Market } from '../../../../support/market/packages.ts';
import {
  makeVersion,
  query,
  type SignedPackage,
  storeIndex,
  storePackage,
  waitForInstall,
} from '../../../../support/market/stored-market.ts';
import { type MarketStage, openMarketStage } from './with-market.ts';

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

  it('keeps the index that it has when an older one comes, and remembers that over a restart', async () => {
    const { waitForLog } = await stage.start();
    const older = { ...index, version: index.version - 1, plugins: {} };
    await query(databaseUrl, 'DELETE FROM marketplace_index');
    await storeIndex(databaseUrl, market, older, { version: index.version + 5 });

    const refused = await waitForLog((line) => String(line['message']).startsWith('the index of plugins is refused'));

    assert.match(String(refused['reason']), /was seen before/);
    assert.equal(await stage.ask(), '1.0.0');
    await stage.stop();
    await stage.start();
    assert.equal(await stage.ask(), '1.0.0');
  });

  const attacks: readonly {
    readonly name: string;
    readonly code: string;
    attack(): Promise<unknown>;
  }[] = [
    {
      name: 'bytes that are not those of the digest',
      code: 'PACKAGE_MISSING',
      async attack() {
        await storePackage(databaseUrl, { ...second, bytes: makeVersion(market, '6.6.6').bytes });
        await stage.upgrade(second);
      },
    },
    {
      name: 'bytes, digest and pin that the index does not know',
      code: 'DIGEST_MISMATCH',
      async attack() {
        const forged = makeVersion(market, '2.0.0', { code: first.pkg.code });
        await storePackage(databaseUrl, forged);
        await stage.upgrade(forged);
      },
    },
    {
      name: 'a package that the publisher did not sign',
      code: 'SIGNATURE_MISSING',
      async attack() {
        await storePackage(databaseUrl, {
          ...second,
          envelope: makeVersion(market, '2.0.0', { keys: [generateKeys()] }).envelope,
        });
        await stage.upgrade(second);
      },
    },
    {
      name: 'the pin of a version on the bytes of another',
      code: 'DIGEST_MISMATCH',
      async attack() {
        await stage.upgrade(second, { sha256: first.pkg.sha256 });
      },
    },
    {
      name: 'a manifest that is not the one of the package',
      code: 'MANIFEST_MISMATCH',
      async attack() {
        await storePackage(databaseUrl, second);
        await stage.upgrade(second, { manifest: { ...second.pkg.manifest, failPolicy: 'open' } });
      },
    },
    {
      name: 'permissions that were widened by hand',
      code: 'GRANT_MISMATCH',
      async attack() {
        await storePackage(databaseUrl, second);
        await stage.upgrade(second, { granted: { request: { body: 'write' }, response: { headers: 'write' } } });
      },
    },
    {
      name: 'permissions that were narrowed below what it asks for',
      code: 'PERMISSIONS_EXCEED_GRANT',
      async attack() {
        await storePackage(databaseUrl, second);
        await stage.upgrade(second, { granted: {} });
      },
    },
    {
      name: 'a way around the sandbox',
      code: 'TIER_REFUSED',
      async attack() {
        await storePackage(databaseUrl, second);
        await stage.upgrade(second, { tier: 'native' });
      },
    },
  ];
  for (const { name, code, attack } of attacks) {
    it(`refuses ${name}, says why, and goes on with what runs`, async () => {
      await stage.start();
      assert.equal(await stage.ask(), '1.0.0');

      await attack();
      const report = await waitForInstall(databaseUrl, ({ problem }) => problem !== null);

      assert.equal(report.problem?.code, code, report.problem?.message);
      assert.deepEqual([report.wanted, report.running], ['2.0.0', '1.0.0']);
      assert.equal(await stage.ask(), '1.0.0');
    });
  }

  it('refuses an index that another key signed', async () => {
    const { waitForLog } = await stage.start();
    const plugins = { 'acme/hello': {} };
    const forged = { ...index, version: index.version + 1, plugins };

    await storeIndex(databaseUrl, market, forged, { key: generateKeys() });

    await waitForLog((line) => String(line['message']).startsWith('the index of plugins is refused'));
    assert.equal(await stage.ask(), '1.0.0');
  });
});
