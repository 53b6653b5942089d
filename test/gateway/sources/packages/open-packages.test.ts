// Code that is open in a worker: how long it stays, and for whom.
import assert from 'node:assert/strict';
import { openPackage, type PluginPackage } from '../../../../gateway/package/package.ts';
import { OpenPackages } from '../../../../gateway/sources/packages/open-packages.ts';
import { samplePackage } from '../../../support/market/packages.ts';
import { until } from '../../../support/until.ts';

const SILENT = { debug() {}, info() {}, warn() {}, error() {} };

describe('open packages', () => {
  const closed: string[] = [];

  beforeEach(() => {
    closed.length = 0;
  });

  function open(packages: OpenPackages, plugin: string, version: string, canRest = true): { release(): void } {
    const pkg: PluginPackage = openPackage(samplePackage({ manifest: { version } }));
    const close = async (): Promise<void> => void closed.push(`${plugin}@${version}`);
    const sandbox = { tier: 'process', plugin: {}, close } as const;
    const { lease } = packages.keep(
      `${plugin}@${version}`,
      { plugin, version, sha256: version, canRest },
      pkg,
      sandbox,
    );
    return lease ?? assert.fail('not lent');
  }

  it('close what nobody uses any more', () => {
    const packages = new OpenPackages(SILENT);
    const lease = open(packages, 'acme/a', '1.0.0');
    packages.take('acme/a@1.0.0');
    lease.release();
    assert.deepEqual(closed, []);

    lease.release();

    assert.deepEqual(closed, ['acme/a@1.0.0']);
    assert.equal(packages.take('acme/a@1.0.0'), undefined);
  });

  it('keep what a rollback would lead to, and lend it again', () => {
    const packages = new OpenPackages(SILENT);
    const lease = open(packages, 'acme/a', '1.0.0');
    packages.expect('acme/a', '1.0.0');

    lease.release();
    const again = packages.take('acme/a@1.0.0');

    assert.equal(packages.findPin(again ?? assert.fail('it is gone'))?.version, '1.0.0');
    assert.deepEqual(closed, []);
  });

  it('never keep what must leave nothing behind', () => {
    const packages = new OpenPackages(SILENT);
    packages.expect('acme/a', '1.0.0');

    open(packages, 'acme/a', '1.0.0', false).release();

    assert.deepEqual(closed, ['acme/a@1.0.0']);
  });

  it('close it when its time is over', async () => {
    const packages = new OpenPackages(SILENT, 1);
    const lease = open(packages, 'acme/a', '1.0.0');
    packages.expect('acme/a', '1.0.0');

    lease.release();

    await until(() => closed.length === 1);
    assert.equal(packages.take('acme/a@1.0.0'), undefined);
  });

  it('never close under whoever took it again', async () => {
    const packages = new OpenPackages(SILENT, 1);
    const [first, second] = [open(packages, 'acme/a', '1.0.0'), open(packages, 'acme/b', '1.0.0')];
    for (const name of ['acme/a', 'acme/b']) packages.expect(name, '1.0.0');
    first.release();
    packages.take('acme/a@1.0.0');

    second.release();
    await until(() => closed.length > 0);

    assert.deepEqual(closed, ['acme/b@1.0.0']);
  });

  it('close it when a rollback leads elsewhere', () => {
    const packages = new OpenPackages(SILENT);
    const lease = open(packages, 'acme/a', '1.0.0');
    packages.expect('acme/a', '1.0.0');
    lease.release();

    packages.expect('acme/a', '1.1.0');

    assert.deepEqual(closed, ['acme/a@1.0.0']);
  });

  it('keep two that nobody uses, the newest', () => {
    const packages = new OpenPackages(SILENT);
    const names = ['acme/a', 'acme/b', 'acme/c'];
    for (const name of names) packages.expect(name, '1.0.0');

    for (const name of names) open(packages, name, '1.0.0').release();

    assert.deepEqual(closed, ['acme/a@1.0.0']);
  });
});
