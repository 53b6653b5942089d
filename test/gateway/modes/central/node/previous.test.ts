// Facts about a node whose installed version fails: the version before takes over, if it is what it was.
// Must not use the admin service: what it would refuse is what is tried here.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Install, PreviousPin } from '../../../../../gateway/core/model.ts';
import { writePublicKey } from '../../../../../gateway/package/keys.ts';
import type { PluginIndex } from '../../../../../gateway/package/trust.ts';
import { type Market, makeMarket, sampleIndex } from '../../../../support/market/packages.ts';
import {
  installOf,
  makeVersion,
  query,
  type SignedPackage,
  storeIndex,
  storePackage,
  waitForInstall,
} from '../../../../support/market/stored-market.ts';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, makeBinding, publish, write } from '../../../../support/product/publish.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

/** Nobody listens there. */
const NO_DATABASE = 'postgres://nobody@127.0.0.1:1/none';
/** The fixture passes, as it asks for `/`. */
const BROKEN = `export const plugin = { onResponse({ request }) { if (request.path !== '/') throw new Error('a bug'); } };\n`;
const MANIFEST = {
  failPolicy: 'previous',
  permissions: { request: { path: 'read' }, response: { headers: { write: ['x-hello'] } } },
};

describe('node whose installed version fails', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let folder: string;
  let market: Market;
  let node: RunningProduct | undefined;
  let good: SignedPackage;
  let index: PluginIndex;
  let install: Install;

  beforeEach(async () => {
    database = await createDatabase();
    origin = await startOrigin();
    folder = await mkdtemp(join(tmpdir(), 'sallyport-previous-'));
    market = makeMarket();
    await writeFile(join(folder, 'root.pub'), writePublicKey(market.rootKeys.publicKey));
    good = makeVersion(market, '1.0.0');
    const broken = makeVersion(market, '1.1.0', { manifest: MANIFEST, code: BROKEN });
    index = sampleIndex(market, [good.pkg, broken.pkg]);
    await storePackage(database.url, good);
    await storePackage(database.url, broken);
    await storeIndex(database.url, market, index);
    install = installOf(broken, { previous: previousOf(good) });
  });

  afterEach(async () => {
    await node?.stop();
    node = undefined;
    await origin.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  function previousOf({ pkg }: SignedPackage): PreviousPin {
    const { manifest, configSchema, sha256 } = pkg;
    const { version, permissions: granted } = manifest;
    return { version, sha256, granted, manifest, configSchema, configs: {} };
  }

  async function start(databaseUrl = database.url): Promise<RunningProduct> {
    node = await startNode(databaseUrl, {
      dataDir: join(folder, 'data'),
      environment: { SALLYPORT_PLUGIN_ROOT: join(folder, 'root.pub'), SALLYPORT_WORKERS: '1' },
    });
    return node;
  }

  const bind = (one: Install): Promise<number> =>
    publish(database.url, [
      write('api', makeApi('orders', { upstream: origin.url })),
      write('install', one),
      write('binding', makeBinding('acme/hello')),
    ]);

  async function ask(): Promise<string> {
    const response = await fetch(`${node?.urls.proxy}/orders`, { headers: { connection: 'close' } });
    const body = await response.text();
    if (response.status === 200) return response.headers.get('x-hello') ?? 'none';
    return /"code":\s*"(\w+)"/.exec(body)?.[1] ?? body;
  }

  /** Asks until it is set aside, and once more. */
  async function fail(): Promise<readonly string[]> {
    const answers: string[] = [];
    for (let times = 0; times < 6; times++) answers.push(await ask());
    return answers;
  }

  async function waitForAside(): Promise<Readonly<Record<string, unknown>>> {
    const line = await node?.waitForLog((one) => String(one['message']).startsWith('a plugin is set aside'));
    return (line?.['previous'] ?? {}) as Readonly<Record<string, unknown>>;
  }

  it('has its exchanges run by the version before, and tells the control plane', async () => {
    await bind(install);
    await start();

    const answers = await fail();

    assert.deepEqual(answers, [...new Array(5).fill('PLUGIN_FAILED'), '1.0.0']);
    const report = await waitForInstall(database.url, ({ plugin }) => plugin === 'acme/hello');
    assert.deepEqual(
      [report.wanted, report.running, report.problem, report.previous],
      ['1.1.0', '1.1.0', null, { version: '1.0.0', problem: null, isRunning: false }],
    );
    const metrics = await (await fetch(`${node?.urls.status}/metrics`)).text();
    assert.match(metrics, /sallyport_plugin_previous\{plugin="acme\/hello",binding="[^"]+"\} 1\n/);
  });

  it('is rolled back with what its disk holds, whatever the database has by now', async () => {
    await bind(install);
    await start();
    await query(database.url, "UPDATE plugin_packages SET bytes = '' WHERE sha256 = $1", [good.pkg.sha256]);

    await publish(database.url, [write('install', installOf(good, { id: install.id }))]);
    const report = await waitForInstall(database.url, ({ wanted }) => wanted === '1.0.0');

    assert.deepEqual([report.running, report.problem, await ask()], ['1.0.0', null, '1.0.0']);
  });

  it('has them run by it also after a start without the database', async () => {
    await bind(install);
    await start();
    await node?.stop();

    await start(NO_DATABASE);

    assert.deepEqual((await fail()).slice(-1), ['1.0.0']);
  });

  it('fails closed when the bytes of the version before were changed on its disk', async () => {
    await bind(install);
    await start();
    await node?.stop();
    const path = join(folder, 'data', 'node', 'plugins', `${good.pkg.sha256}.tgz`);
    await writeFile(path, makeVersion(market, '1.0.0', { code: 'export const plugin = { onResponse() {} };\n' }).bytes);

    await start(NO_DATABASE);

    assert.deepEqual((await fail()).slice(-1), ['PLUGIN_QUARANTINED']);
    const previous = await waitForAside();
    assert.deepEqual([previous['version'], previous['isRunning']], ['1.0.0', false]);
    assert.match(String(previous['problem']), /digest/);
  });

  for (const [what, tamper, code, problem] of [
    [
      'bytes of the version before are others in the database',
      async () => {
        const { bytes } = makeVersion(market, '1.0.0', { code: 'export const plugin = { onResponse() {} };\n' });
        await query(database.url, 'UPDATE plugin_packages SET bytes = $1 WHERE sha256 = $2', [bytes, good.pkg.sha256]);
        return install;
      },
      'PACKAGE_MISSING',
      /sent bytes with the digest/,
    ],
    [
      'permissions of the version before were widened by hand',
      async () => {
        const previous = previousOf(good);
        const net = [{ host: 'evil.example', reason: 'to tell' }];
        return { ...install, previous: { ...previous, granted: { ...previous.granted, net } } };
      },
      'GRANT_MISMATCH',
      /grant/,
    ],
    [
      'pin of the version before was put on bytes that the index does not know',
      async () => {
        const foreign = makeVersion(market, '1.0.1');
        await storePackage(database.url, foreign);
        return { ...install, previous: previousOf(foreign) };
      },
      'NOT_IN_INDEX',
      /index/,
    ],
  ] as const) {
    it(`fails closed, and says why, when the ${what}`, async () => {
      await bind((await tamper()) as Install);
      await start();

      const answers = await fail();

      assert.deepEqual(answers, [...new Array(5).fill('PLUGIN_FAILED'), 'PLUGIN_QUARANTINED']);
      assert.match(String((await waitForAside())['problem']), problem);
      const report = await waitForInstall(database.url, ({ previous }) => previous !== undefined);
      assert.deepEqual([report.running, report.problem, report.previous?.problem?.code], ['1.1.0', null, code]);
    });
  }

  it('stops the version before within a poll when the index revokes it', async () => {
    await bind(install);
    await start();
    assert.deepEqual((await fail()).slice(-1), ['1.0.0']);
    const versions = {
      ...index.plugins['acme/hello'],
      '1.0.0': { sha256: good.pkg.sha256, state: 'revoked' } as const,
    };

    const plugins = { 'acme/hello': versions };
    await storeIndex(database.url, market, { ...index, version: index.version + 1, plugins });
    const report = await waitForInstall(database.url, ({ previous }) => previous?.problem?.code === 'REVOKED');

    assert.equal(report.running, '1.1.0');
    assert.deepEqual((await fail()).slice(-1), ['PLUGIN_QUARANTINED']);
  });
});
