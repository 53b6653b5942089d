// Facts about a node that starts with an installed version that does not run there: the version before does, if it is sound.
// Must not use the admin service: what it would refuse is what is tried here.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Install } from '../../../../../gateway/core/model.ts';
import { sampleIndex } from '../../../../support/market/packages.ts';
import {
  installOf,
  makeVersion,
  query,
  type SignedPackage,
  storeIndex,
  storePackage,
  waitForInstall,
} from '../../../../support/market/stored-market.ts';
import { type MarketStage, openMarketStage } from './with-market.ts';

/** Nobody listens there. */
const NO_DATABASE = 'postgres://nobody@127.0.0.1:1/none';
const MANIFEST = { failPolicy: 'previous' };
const REPLACED = { version: '1.0.0', problem: null, isRunning: true };

describe('node that starts with an installed version that does not run', function () {
  this.timeout(60_000);
  let stage: MarketStage;

  beforeEach(async () => {
    stage = await openMarketStage();
  });

  afterEach(() => stage.close());

  /** Pins a version whose bytes are stored, with the first one as the version before. */
  async function upgrade(version: SignedPackage, fields: Partial<Install> = {}): Promise<void> {
    await storePackage(stage.databaseUrl, version);
    await list(version);
    const { version: number, sha256, granted, manifest, configSchema } = installOf(stage.first);
    const previous = { version: number, sha256, granted, manifest, configSchema, configs: {} };
    await stage.upgrade(version, { previous, ...fields });
  }

  /** Lists both in the next index; `revoked` says which not to run. */
  async function list(version: SignedPackage, revoked: readonly string[] = []): Promise<void> {
    const { first, market, databaseUrl, index } = stage;
    const plain = sampleIndex(market, [first.pkg, version.pkg]);
    const versions = Object.entries(plain.plugins['acme/hello'] ?? {}).map(([number, entry]) => [
      number,
      revoked.includes(number) ? { ...entry, state: 'revoked' } : entry,
    ]);
    const plugins = { 'acme/hello': Object.fromEntries(versions) };
    await storeIndex(databaseUrl, market, { ...plain, version: index.version + 1 + revoked.length, plugins });
  }

  for (const [what, options, code] of [
    [
      'whose fixtures fail',
      { code: "export const plugin = { onResponse() { throw new Error('a bug'); } };\n" },
      /^FIXTURE_FAILED$/,
    ],
    ['that does not parse', { code: 'export const plugin = {\n' }, /^LOAD_FAILED$/],
  ] as const) {
    it(`runs the version before in the place of one ${what}, and says so`, async () => {
      await upgrade(makeVersion(stage.market, '1.1.0', { manifest: MANIFEST, ...options }));

      const { waitForLog } = await stage.start();

      assert.equal(await stage.ask(), '1.0.0');
      const { wanted, running, problem, previous } = await waitForInstall(stage.databaseUrl, () => true);
      assert.deepEqual([wanted, running, previous], ['1.1.0', '1.0.0', REPLACED]);
      assert.match(problem?.code ?? '', code);
      const line = await waitForLog(({ message }) => message === 'the version before runs in its place');
      assert.deepEqual([line['plugin'], line['version'], line['previous']], ['acme/hello', '1.1.0', '1.0.0']);
    });
  }

  it('runs it on bindings that the installed version refuses', async () => {
    const code = "export const plugin = { setup() { throw new Error('not here'); }, onResponse() {} };\n";
    const files = { 'fixtures/greets.json': undefined };
    await upgrade(makeVersion(stage.market, '1.1.0', { manifest: MANIFEST, code, files }));

    await stage.start();

    assert.equal(await stage.ask(), '1.0.0');
    const { running, problem, previous } = await waitForInstall(stage.databaseUrl, () => true);
    assert.deepEqual([running, problem?.code, previous], ['1.1.0', 'SETUP_FAILED', REPLACED]);
  });

  it('runs it until the installed version has come', async () => {
    const second = makeVersion(stage.market, '1.1.0', { manifest: MANIFEST });
    await upgrade(second);
    await query(stage.databaseUrl, "UPDATE plugin_packages SET bytes = '' WHERE sha256 = $1", [second.pkg.sha256]);
    await stage.start();
    const first = await stage.ask();

    await query(stage.databaseUrl, 'UPDATE plugin_packages SET bytes = $1 WHERE sha256 = $2', [
      second.bytes,
      second.pkg.sha256,
    ]);
    const report = await waitForInstall(stage.databaseUrl, ({ running }) => running === '1.1.0');

    assert.deepEqual([first, await stage.ask()], ['1.0.0', '1.1.0']);
    assert.deepEqual([report.problem, report.previous], [null, { ...REPLACED, isRunning: false }]);
  });

  it('runs it in the place of one that was revoked, and stops it within a poll when it is as well', async () => {
    const second = makeVersion(stage.market, '1.1.0', { manifest: MANIFEST });
    await upgrade(second);
    await stage.start();
    const answers = [await stage.ask()];

    await list(second, ['1.1.0']);
    await waitForInstall(stage.databaseUrl, ({ running }) => running === '1.0.0');
    answers.push(await stage.ask());
    await list(second, ['1.1.0', '1.0.0']);
    const report = await waitForInstall(stage.databaseUrl, ({ running }) => running === null);
    answers.push(await stage.ask());

    assert.deepEqual(answers, ['1.1.0', '1.0.0', 503]);
    assert.deepEqual([report.problem?.code, report.previous], ['REVOKED', undefined]);
    assert.match(report.problem?.message ?? '', /; the version before, 1\.0\.0: /);
  });

  it('runs neither when the bytes of the version before were changed on its disk', async () => {
    const second = makeVersion(stage.market, '1.1.0', { manifest: MANIFEST });
    await upgrade(second);
    const { dataDir } = await stage.start();
    await stage.stop();
    const other = makeVersion(stage.market, '1.0.0', { code: 'export const plugin = { onResponse() {} };\n' });
    for (const { pkg } of [stage.first, second]) {
      await writeFile(join(dataDir, 'node', 'plugins', `${pkg.sha256}.tgz`), other.bytes);
    }

    const { waitForLog } = await stage.start(NO_DATABASE);

    assert.equal(await stage.ask(), 503);
    const line = await waitForLog(({ message }) => message === 'the version before does not load');
    assert.match(String(line['code']), /DIGEST/);
  });

  it('runs nothing in the place of one that fails closed', async () => {
    const code = 'export const plugin = {\n';
    await upgrade(makeVersion(stage.market, '1.1.0', { manifest: { failPolicy: 'closed' }, code }));

    await stage.start();

    assert.equal(await stage.ask(), 503);
    const { running, problem, previous } = await waitForInstall(stage.databaseUrl, () => true);
    assert.deepEqual([running, problem?.code, previous], [null, 'LOAD_FAILED', undefined]);
  });
});
