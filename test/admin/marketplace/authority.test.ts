// The keys of the marketplace: made once, held to, replaced, missing, foreign; and the index that they sign.
// Must not know how rows are read.
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Marketplace, openMarketplace } from '../../../admin/marketplace/marketplace.ts';
import { type Database, openDatabase } from '../../../admin/store/database.ts';
import { findIndex, findRoot } from '../../../admin/store/marketplace/signed.ts';
import type { Logger } from '../../../gateway/core/plugin.ts';
import { keyIdOf, readPublicKeys } from '../../../gateway/package/keys.ts';
import { openIndex, openRoot, type Root, type TrustedIndex } from '../../../gateway/package/trust.ts';
import { createDatabase, runSql, type TestDatabase } from '../../support/product/database.ts';

const DAY_MS = 86_400_000;

describe('the authority of the marketplace', () => {
  let database: TestDatabase;
  let store: Database;
  let folders: string;
  let lines: string[];
  let log: Logger;
  let nowMs: number;
  const opened: Marketplace[] = [];

  beforeEach(async () => {
    database = await createDatabase();
    store = openDatabase(database.url);
    folders = await mkdtemp(join(tmpdir(), 'sallyport-keys-'));
    lines = [];
    const keep = (message: string): void => void lines.push(message);
    log = { debug: keep, info: keep, warn: keep, error: keep };
    // The time of the database counts too. Whole seconds: an index is numbered by them.
    nowMs = Math.floor(Date.now() / 1000) * 1000;
  });

  afterEach(async () => {
    for (const one of opened.splice(0)) one.close();
    await store.close();
    await database.drop();
    await rm(folders, { recursive: true, force: true });
  });

  const folderOf = (name = 'one'): string => join(folders, name);
  const open = async (name?: string): Promise<Marketplace> => {
    const one = await openMarketplace({ folder: folderOf(name), database: store, log, nowMs: () => nowMs });
    opened.push(one);
    return one;
  };
  const readRoot = async (name?: string): Promise<Root> => {
    const stored = await store.run(findRoot);
    const pinned = readPublicKeys(await readFile(join(folderOf(name), 'root.pub'), 'utf8'));
    assert.ok(stored);
    return openRoot(stored.envelope, pinned);
  };
  const readIndex = async (name?: string): Promise<TrustedIndex> => {
    const stored = await store.run(findIndex);
    assert.ok(stored);
    return openIndex(stored.envelope, await readRoot(name), { minVersion: 1, nowMs }).index;
  };

  it('makes keys, root and index at the first start, readable by their owner alone, and keeps them', async () => {
    await open();
    const files = await readdir(folderOf());
    const modes = await Promise.all(files.map(async (file) => (await stat(join(folderOf(), file))).mode & 0o777));
    const before = await Promise.all(files.map((file) => readFile(join(folderOf(), file), 'utf8')));

    await open();

    assert.deepEqual(files.sort(), ['index.key', 'root.json', 'root.key', 'root.pub']);
    assert.deepEqual(new Set(modes), new Set([0o600]));
    assert.equal((await stat(folderOf())).mode & 0o777, 0o700);
    assert.deepEqual(await Promise.all(files.map((file) => readFile(join(folderOf(), file), 'utf8'))), before);
    assert.equal((await readRoot()).version, 1);
    assert.deepEqual((await readRoot()).platformNamespaces, ['sallyport']);
    assert.deepEqual(lines, []);
  });

  it('makes one root when several services with one folder start at once', async () => {
    await Promise.all([open(), open(), open()]);

    const root = await readRoot();
    assert.equal(root.version, 1);
    assert.equal(new Set(opened.map(({ authority }) => authority.indexKey && keyIdOf(authority.indexKey))).size, 1);
  });

  it('signs on without the root key', async () => {
    await open();
    await rm(join(folderOf(), 'root.key'));
    nowMs += 2 * DAY_MS;

    const again = await open();

    assert.ok(again.authority.indexKey);
    assert.equal((await readIndex()).version, nowMs / 1000);
    assert.deepEqual(lines, []);
  });

  it('signs nothing with a folder that is not the one of the root, says so, and makes no key there', async () => {
    await open();
    const stranger = await open('two');
    const other = await createDatabase();
    const otherStore = openDatabase(other.url);
    const elsewhere = await openMarketplace({
      folder: folderOf('three'),
      database: otherStore,
      log,
      nowMs: () => nowMs,
    });
    elsewhere.close();
    await otherStore.close();
    await other.drop();
    const wrong = await open('three');

    assert.equal(stranger.authority.indexKey, undefined);
    assert.equal(stranger.authority.rootKeys.size, 0);
    assert.deepEqual(await readdir(folderOf('two')), []);
    assert.equal(wrong.authority.indexKey, undefined);
    assert.match(lines.join('\n'), /keys of the marketplace are not in this data directory/);
    assert.match(lines.join('\n'), /not signed by the root key of this data directory/);
    assert.equal((await readRoot()).version, 1);
  });

  it('names a new index key in a new root when the old one is gone and the root key is at hand, but not without it', async () => {
    const first = await open();
    await rm(join(folderOf(), 'index.key'));
    const second = await open();
    const root = await readRoot();

    assert.equal(root.version, 2);
    const ids = [first, second].map(({ authority }) => authority.indexKey && keyIdOf(authority.indexKey));
    assert.notEqual(ids[0], ids[1]);
    assert.deepEqual(
      root.indexKeys.map(({ keyid }) => keyid),
      ids,
    );

    await rm(join(folderOf(), 'index.key'));
    await rm(join(folderOf(), 'root.key'));
    const third = await open();
    assert.equal(third.authority.indexKey, undefined);
    assert.equal((await readRoot()).version, 2);
  });

  it('brings the root back into a database that lost it, and renews one that ends soon', async () => {
    await open();
    await runSql(database.url, 'DELETE FROM marketplace_root; DELETE FROM marketplace_index');
    await open();
    const restored = await readRoot();
    nowMs += 4.5 * 365 * DAY_MS;

    await open();

    assert.equal(restored.version, 1);
    const renewed = await readRoot();
    assert.equal(renewed.version, 2);
    assert.ok(Date.parse(renewed.expires) - nowMs > 4 * 365 * DAY_MS);
  });

  it('starts, signs nothing and says so when its files are damaged', async () => {
    await open();
    await writeFile(join(folderOf(), 'index.key'), 'not a key');

    const damaged = await open();

    assert.equal(damaged.authority.indexKey, undefined);
    assert.match(lines.join('\n'), /cannot be read/);
    assert.doesNotMatch(lines.join('\n'), /not a key/);
  });

  it('makes nothing where only root.pub lies: that is a mirror', async () => {
    await open();
    const other = await createDatabase();
    const otherStore = openDatabase(other.url);
    await mkdir(folderOf('mirror'), { recursive: true });
    await copyFile(join(folderOf(), 'root.pub'), join(folderOf('mirror'), 'root.pub'));

    const mirror = await openMarketplace({ folder: folderOf('mirror'), database: otherStore, log, nowMs: () => nowMs });

    assert.deepEqual(await readdir(folderOf('mirror')), ['root.pub']);
    assert.equal(mirror.authority.indexKey, undefined);
    assert.equal(mirror.authority.rootKeys.size, 1);
    assert.equal(await otherStore.run(findIndex), undefined);
    mirror.close();
    await otherStore.close();
    await other.drop();
  });

  it('signs the index anew when it is a day old, not before, and never lowers its number', async () => {
    const market = await open();
    const first = await readIndex();
    nowMs += DAY_MS / 2;
    await market.renew();
    const second = await readIndex();
    nowMs += DAY_MS;
    await market.renew();
    const third = await readIndex();
    nowMs -= 400 * DAY_MS;
    await runSql(database.url, `UPDATE marketplace_index SET made_at = '2020-01-01'`);
    await market.renew();
    const fourth = await store.run(findIndex);

    assert.equal(second.version, first.version);
    assert.ok(third.version > first.version);
    assert.equal(fourth?.version, third.version + 1);
    assert.equal(Date.parse(third.expires) - Date.parse(third.issuedAt), 30 * DAY_MS);
  });

  it('keeps a hundred indexes', async () => {
    const market = await open();
    await runSql(
      database.url,
      `INSERT INTO marketplace_index (version, envelope, made_at)
       SELECT step, (SELECT envelope FROM marketplace_index), '2020-01-01' FROM generate_series(1, 150) AS step;
       UPDATE marketplace_index SET made_at = '2020-01-01'`,
    );

    await market.renew();

    const count = await store.run(
      async (knex) => (await knex.raw('SELECT count(*)::int AS n FROM marketplace_index')).rows[0].n,
    );

    assert.equal(count, 100);
    assert.ok((await readIndex()).version > 150);
  });
});
