// Facts about a node that runs plugins of the marketplace: it takes them up while it serves, and believes no database.
// Must not use the admin service: what it would refuse is what is tried here.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Install } from '../../../../gateway/core/model.ts';
import { generateKeys, writePublicKey } from '../../../../gateway/package/keys.ts';
import type { PluginIndex } from '../../../../gateway/package/trust.ts';
import { sealSecret } from '../../../../gateway/sources/secrets.ts';
import { createDatabase, type TestDatabase } from '../../../support/database.ts';
import { type RunningProduct, startNode } from '../../../support/gateway.ts';
import { type Origin, startOrigin } from '../../../support/origin.ts';
import { type Market, makeMarket, sampleIndex } from '../../../support/packages.ts';
import { makeApi, makeBinding, publish, write } from '../../../support/publish.ts';
import {
  installOf,
  makeVersion,
  query,
  type SignedPackage,
  storeIndex,
  storePackage,
  waitForInstall,
} from '../../../support/stored-market.ts';

const SECRET_KEY = new Uint8Array(32).fill(9);

/** Nobody listens there. */
const NO_DATABASE = 'postgres://nobody@127.0.0.1:1/none';

describe('node with installs', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let folder: string;
  let market: Market;
  let node: RunningProduct | undefined;
  let first: SignedPackage;
  let second: SignedPackage;
  let index: PluginIndex;
  let pin: Install;

  beforeEach(async () => {
    database = await createDatabase();
    origin = await startOrigin();
    folder = await mkdtemp(join(tmpdir(), 'sallyport-installs-'));
    market = makeMarket();
    await writeFile(join(folder, 'root.pub'), writePublicKey(market.rootKeys.publicKey));
    first = makeVersion(market, '1.0.0');
    second = makeVersion(market, '2.0.0');
    index = sampleIndex(market, [first.pkg, second.pkg]);
    await storePackage(database.url, first);
    await storeIndex(database.url, market, index);
    pin = installOf(first);
    await publish(database.url, [
      write('api', makeApi('orders', { upstream: origin.url })),
      write('install', pin),
      write('binding', makeBinding('acme/hello')),
    ]);
  });

  afterEach(async () => {
    await node?.stop();
    node = undefined;
    await origin.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  async function start(databaseUrl = database.url): Promise<RunningProduct> {
    node = await startNode(databaseUrl, {
      dataDir: join(folder, 'data'),
      environment: {
        SALLYPORT_PLUGIN_ROOT: join(folder, 'root.pub'),
        SALLYPORT_SECRET_KEY: Buffer.from(SECRET_KEY).toString('hex'),
      },
    });
    return node;
  }

  async function ask(): Promise<string | number> {
    const response = await fetch(`${node?.urls.proxy}/orders`, { headers: { connection: 'close' } });
    await response.arrayBuffer();
    return response.status === 200 ? (response.headers.get('x-hello') ?? 'none') : response.status;
  }

  const upgrade = (to: SignedPackage, fields: Partial<Install> = {}): Promise<number> =>
    publish(database.url, [write('install', installOf(to, { id: pin.id, ...fields }))]);

  it('runs what is installed at its first start, and another version without a restart', async () => {
    const { waitForLog } = await start();
    assert.equal(await ask(), '1.0.0');
    await storePackage(database.url, second);

    const revision = await upgrade(second);
    await waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === revision);

    assert.equal(await ask(), '2.0.0');
    const report = await waitForInstall(database.url, ({ running }) => running === '2.0.0');
    assert.deepEqual(report, { plugin: 'acme/hello', wanted: '2.0.0', running: '2.0.0', problem: null });
  });

  it('runs what was installed when it starts without the database', async () => {
    await start();
    assert.equal(await ask(), '1.0.0');
    // A tidy stop writes the last good copy.
    await node?.stop();

    await start(NO_DATABASE);

    assert.equal(await ask(), '1.0.0');
  });

  it('takes up a package that comes later than the revision that pins it', async () => {
    const { waitForLog } = await start();
    const revision = await upgrade(second);
    await waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === revision);
    assert.equal(await ask(), '1.0.0');

    await storePackage(database.url, second);

    await waitForInstall(database.url, ({ running }) => running === '2.0.0');
    assert.equal(await ask(), '2.0.0');
  });

  it('lends a plugin the secrets of its install, and says when one does not open', async () => {
    const permissions = { response: { headers: { write: ['x-hello'] } }, secrets: ['KEY'] };
    const code = `export const plugin = {
      setup: (config, host) => ({ key: host.secrets.get('KEY') }),
      onResponse: ({ response }, config, { key }) => response.headers.set('x-hello', key),
    };\n`;
    const files = { 'fixtures/greets.json': undefined };
    const version = makeVersion(market, '3.0.0', { manifest: { permissions }, code, files });
    await storePackage(database.url, version);
    await storeIndex(database.url, market, { ...sampleIndex(market, [first.pkg, version.pkg]), version: 20 });
    await start();

    await upgrade(version, { secrets: { KEY: sealSecret(SECRET_KEY, 'open-sesame') } });
    await waitForInstall(database.url, ({ running }) => running === '3.0.0');
    assert.equal(await ask(), 'open-sesame');

    await upgrade(version, { secrets: { KEY: sealSecret(new Uint8Array(32), 'closed') } });
    const report = await waitForInstall(database.url, ({ problem }) => problem !== null);
    assert.equal(report.problem?.code, 'SECRET_SEALED');
    assert.equal(await ask(), 'open-sesame');
  });

  it('stops a version within a poll when the index revokes it', async () => {
    await start();
    assert.equal(await ask(), '1.0.0');
    const { sha256 } = first.pkg;
    const plugins = { 'acme/hello': { '1.0.0': { sha256, state: 'revoked', advisory: 'It leaks.' } } } as const;

    const from = performance.now();
    await storeIndex(database.url, market, { ...index, version: index.version + 1, plugins });
    const report = await waitForInstall(database.url, ({ running }) => running === null);

    assert.equal(report.problem?.code, 'REVOKED');
    assert.equal(await ask(), 503);
    assert.ok(performance.now() - from < 6_000, 'it took longer than a poll');
  });

  it('keeps the index that it has when an older one comes, and remembers that over a restart', async () => {
    const { waitForLog } = await start();
    const older = { ...index, version: index.version - 1, plugins: {} };
    await query(database.url, 'DELETE FROM marketplace_index');
    await storeIndex(database.url, market, older, { version: index.version + 5 });

    const refused = await waitForLog((line) => String(line['message']).startsWith('the index of plugins is refused'));

    assert.match(String(refused['reason']), /was seen before/);
    assert.equal(await ask(), '1.0.0');
    await node?.stop();
    await start();
    assert.equal(await ask(), '1.0.0');
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
        await storePackage(database.url, { ...second, bytes: makeVersion(market, '6.6.6').bytes });
        await upgrade(second);
      },
    },
    {
      name: 'bytes, digest and pin that the index does not know',
      code: 'DIGEST_MISMATCH',
      async attack() {
        const forged = makeVersion(market, '2.0.0', { code: first.pkg.code });
        await storePackage(database.url, forged);
        await upgrade(forged);
      },
    },
    {
      name: 'a package that the publisher did not sign',
      code: 'SIGNATURE_MISSING',
      async attack() {
        await storePackage(database.url, {
          ...second,
          envelope: makeVersion(market, '2.0.0', { keys: [generateKeys()] }).envelope,
        });
        await upgrade(second);
      },
    },
    {
      name: 'the pin of a version on the bytes of another',
      code: 'DIGEST_MISMATCH',
      async attack() {
        await upgrade(second, { sha256: first.pkg.sha256 });
      },
    },
    {
      name: 'a manifest that is not the one of the package',
      code: 'MANIFEST_MISMATCH',
      async attack() {
        await storePackage(database.url, second);
        await upgrade(second, { manifest: { ...second.pkg.manifest, failPolicy: 'open' } });
      },
    },
    {
      name: 'permissions that were widened by hand',
      code: 'GRANT_MISMATCH',
      async attack() {
        await storePackage(database.url, second);
        await upgrade(second, { granted: { request: { body: 'write' }, response: { headers: 'write' } } });
      },
    },
    {
      name: 'permissions that were narrowed below what it asks for',
      code: 'PERMISSIONS_EXCEED_GRANT',
      async attack() {
        await storePackage(database.url, second);
        await upgrade(second, { granted: {} });
      },
    },
    {
      name: 'a way around the sandbox',
      code: 'TIER_REFUSED',
      async attack() {
        await storePackage(database.url, second);
        await upgrade(second, { tier: 'native' });
      },
    },
  ];
  for (const { name, code, attack } of attacks) {
    it(`refuses ${name}, says why, and goes on with what runs`, async () => {
      await start();
      assert.equal(await ask(), '1.0.0');

      await attack();
      const report = await waitForInstall(database.url, ({ problem }) => problem !== null);

      assert.equal(report.problem?.code, code, report.problem?.message);
      assert.deepEqual([report.wanted, report.running], ['2.0.0', '1.0.0']);
      assert.equal(await ask(), '1.0.0');
    });
  }

  it('refuses an index that another key signed', async () => {
    const { waitForLog } = await start();
    const plugins = { 'acme/hello': {} };
    const forged = { ...index, version: index.version + 1, plugins };

    await storeIndex(database.url, market, forged, { key: generateKeys() });

    await waitForLog((line) => String(line['message']).startsWith('the index of plugins is refused'));
    assert.equal(await ask(), '1.0.0');
  });

  it('goes on with what runs when the fixtures of the next version fail', async () => {
    const fixture = {
      request: { method: 'GET', path: '/' },
      expect: { response: { headers: { 'x-hello': 'other' } } },
    };
    const files = { 'fixtures/greets.json': JSON.stringify(fixture) };
    const untrue = makeVersion(market, '3.0.0', { files });
    await start();
    await storePackage(database.url, untrue);
    await storeIndex(database.url, market, {
      ...sampleIndex(market, [first.pkg, untrue.pkg]),
      version: index.version + 1,
    });

    await upgrade(untrue);
    const report = await waitForInstall(database.url, ({ problem }) => problem !== null);

    assert.equal(report.problem?.code, 'FIXTURE_FAILED');
    assert.equal(await ask(), '1.0.0');
  });

  it('holds up no other change when a plugin does not load', async () => {
    const { waitForLog } = await start();
    await upgrade(second, { sha256: 'f'.repeat(64) });
    await waitForInstall(database.url, ({ problem }) => problem !== null);

    const revision = await publish(database.url, [write('api', makeApi('more', { upstream: origin.url }))]);
    await waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === revision);

    const response = await fetch(`${node?.urls.proxy}/more`, { headers: { connection: 'close' } });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('x-hello'), '1.0.0');
  });
});
