// Damages saved configurations in every way a disk can, and reads them back.
// Must not need a database.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Change } from '../../../gateway/core/model.ts';
import { createLastGood, type LastGood } from '../../../gateway/sources/last-good.ts';
import { silentLog } from '../../support/product/database.ts';
import { makeApi, makeUpstream, remove, write } from '../../support/product/publish.ts';

describe('last good configuration', () => {
  let folder: string;
  let path: string;
  let saved: (string | undefined)[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-last-'));
    path = join(folder, 'document');
    saved = [];
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  function open(options: { quietMs?: number; maxWaitMs?: number } = {}): LastGood {
    return createLastGood({ path, log: silentLog, onSaved: (error) => saved.push(error?.message), ...options });
  }

  async function save(revision: number, changes: readonly Change[]): Promise<void> {
    const copies = open();
    void copies.save(revision, () => changes);
    await copies.flush();
  }

  it('is read back as it was saved, and is readable by its owner alone', async () => {
    const changes = [write('api', makeApi('one', { tags: ['✓ ünï'] })), write('api', makeApi('two'))];
    const before = Date.now();
    await save(7, changes);

    const copy = await open().load();

    assert.deepEqual(copy?.update, { revision: 7, isReset: true, changes });
    assert.ok(copy.savedAtMs >= before && copy.savedAtMs <= Date.now());
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), ['document']);
  });

  it('is absent before the first save', async () => {
    assert.equal(await open().load(), undefined);
  });

  it('falls back to the generation before, however the newest is damaged', async () => {
    await save(1, [write('api', makeApi('old'))]);
    await save(2, [write('api', makeApi('new')), write('api', makeApi('newer'))]);
    const whole = await readFile(path);
    const damaged: Buffer[] = [Buffer.alloc(0), Buffer.alloc(whole.length), Buffer.concat([whole, Buffer.from('x\n')])];
    for (let length = 1; length < whole.length; length += 37) damaged.push(whole.subarray(0, length));
    for (let at = 0; at < whole.length; at += 11) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      damaged.push(flipped);
    }

    for (const content of damaged) {
      await writeFile(path, content);
      assert.equal((await open().load())?.update.revision, 1, `damaged: ${content.toString('latin1').slice(-80)}`);
    }
  });

  /** Saves a document, then the update to each further revision; gives what there was at each, in order. */
  async function saveSteps(): Promise<readonly (readonly Change[])[]> {
    const one = write('api', makeApi('one'));
    const two = write('api', makeApi('two ✓'));
    const upstream = write('upstream', makeUpstream('late'));
    const states = [[one], [one, two], [upstream, one, two], [upstream, two]];
    const updates: readonly Change[][] = [[two], [upstream], [remove('api', one)]];
    const copies = open();
    for (const [index, state] of states.entries()) {
      const changes = updates[index - 1];
      const isReset = changes === undefined;
      void copies.save(index + 1, () => state, { revision: index + 1, isReset, changes: changes ?? state });
      await copies.flush();
    }
    return states;
  }

  it('writes only what changed after the first time, and reads all of it back', async () => {
    const states = await saveSteps();

    const copy = await open().load();

    assert.deepEqual(copy?.update, { revision: 4, isReset: true, changes: states[3] });
    assert.equal((await readFile(path, 'utf8')).split('\n').length, 4);
    assert.equal((await stat(`${path}.changes`)).mode & 0o777, 0o600);
    assert.deepEqual((await readdir(folder)).sort(), ['document', 'document.changes']);
  });

  it('has what changed on disk when it says so, also when much changes at once', async () => {
    const apis = Array.from({ length: 20 }, (_, index) => write('api', makeApi(`api-${index}`)));
    const copies = open({ quietMs: 3_600_000, maxWaitMs: 3_600_000 });
    await copies.save(1, () => []);
    await copies.flush();

    const read: number[] = [];
    const saves = apis.map(async (api, index) => {
      await copies.save(index + 2, () => apis.slice(0, index + 1), {
        revision: index + 2,
        isReset: false,
        changes: [api],
      });
      read.push((await open().load())?.update.revision ?? 0);
    });
    await Promise.all(saves);

    for (const [index, revision] of read.entries()) assert.ok(revision >= index + 2, `${revision} at ${index + 2}`);
  });

  it('stands at a revision that there was, however what changed is damaged', async () => {
    const states = await saveSteps();
    const journal = `${path}.changes`;
    const whole = await readFile(journal);
    const damaged: Buffer[] = [Buffer.alloc(0), Buffer.alloc(whole.length), Buffer.concat([whole, Buffer.from('x\n')])];
    for (let length = 1; length < whole.length; length += 23) damaged.push(whole.subarray(0, length));
    for (let at = 0; at < whole.length; at += 7) {
      const flipped = Buffer.from(whole);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      damaged.push(flipped);
    }
    const seen = new Set<number>();

    for (const content of damaged) {
      await writeFile(journal, content);
      const update = (await open().load())?.update;
      assert.deepEqual(update?.changes, states[(update?.revision ?? 0) - 1]);
      seen.add(update?.revision ?? 0);
    }

    assert.deepEqual([...seen].sort(), [1, 2, 3, 4]);
  });

  it('does not take what changed since another document for its own', async () => {
    await saveSteps();
    const other = [write('api', makeApi('other'))];
    const journal = await readFile(`${path}.changes`);
    await save(9, other);
    await writeFile(`${path}.changes`, journal);

    const copy = await open().load();

    assert.deepEqual(copy?.update, { revision: 9, isReset: true, changes: other });
  });

  it('writes the document again when what changed grows long, and keeps both of the generation before', async () => {
    const tags = Array.from({ length: 4_000 }, (_, index) => `tag-${index}`);
    const copies = open();
    let api = makeApi('one');
    const state = (): readonly Change[] => [write('api', api)];
    void copies.save(1, state, { revision: 1, isReset: true, changes: state() });
    await copies.flush();
    const sizes: number[] = [];
    let revision = 1;
    do {
      sizes.push((await stat(path)).size);
      api = { ...makeApi('one', { tags: [...tags, String(revision)] }), id: api.id };
      revision++;
      void copies.save(revision, state, { revision, isReset: false, changes: state() });
      await copies.flush();
    } while ((await stat(path)).size === sizes[0] && revision < 100);

    const newest = (await open().load())?.update;
    await writeFile(path, 'torn');
    const before = (await open().load())?.update;

    assert.ok(revision > 5 && revision < 20, `written again at revision ${revision}`);
    assert.deepEqual(newest, { revision, isReset: true, changes: state() });
    assert.equal(before?.revision, revision - 1);
  });

  it('reports a disk that does not take what changed, and writes the document when it does again', async () => {
    const one = [write('api', makeApi('one'))];
    const two = [...one, write('api', makeApi('two'))];
    const copies = open();
    void copies.save(1, () => one, { revision: 1, isReset: true, changes: one });
    await copies.flush();
    await mkdir(`${path}.changes`);
    void copies.save(2, () => two, { revision: 2, isReset: false, changes: two.slice(1) });
    await copies.flush();
    const during = (await open().load())?.update.revision;
    void copies.save(3, () => one, {
      revision: 3,
      isReset: false,
      changes: two.slice(1).map(({ kind, id }) => ({ kind, id }) as Change),
    });
    await copies.flush();

    assert.equal(during, 1);
    assert.match(saved[1] ?? '', /EISDIR/);
    assert.deepEqual((await open().load())?.update, { revision: 3, isReset: true, changes: one });
  });

  it('refuses another format', async () => {
    await save(1, []);
    const text = await readFile(path, 'utf8');
    await writeFile(path, text.replace('"format":1', '"format":2'));

    assert.equal(await open().load(), undefined);
  });

  it('never lets a damaged generation push out a whole one', async () => {
    await save(1, []);
    await save(2, []);
    await writeFile(path, 'torn');
    await save(3, []);
    await writeFile(path, 'torn again');

    const copy = await open().load();

    assert.equal(copy?.update.revision, 1);
  });

  it('writes the latest of many changes once, and not before it must', async () => {
    const copies = open({ quietMs: 20, maxWaitMs: 10_000 });
    const read: number[] = [];
    for (let revision = 1; revision <= 100; revision += 1) {
      void copies.save(revision, () => {
        read.push(revision);
        return [];
      });
    }
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (saved.length === 0) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });

    assert.deepEqual(read, [100]);
    assert.equal((await open().load())?.update.revision, 100);
  });

  it('writes in time when changes never cease', async () => {
    const copies = open({ quietMs: 50, maxWaitMs: 100 });
    let revision = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        void copies.save(++revision, () => []);
        if (saved.length === 0) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
    await copies.flush();

    assert.equal((await open().load())?.update.revision, revision);
  });

  it('reports a disk that fails, keeps what was there, and heals with it', async () => {
    await save(1, []);
    const copies = open();
    await mkdir(`${path}.tmp`);
    void copies.save(2, () => []);
    await copies.flush();
    const during = (await open().load())?.update.revision;
    await rm(`${path}.tmp`, { recursive: true });
    void copies.save(3, () => []);
    await copies.flush();

    assert.equal(during, 1);
    assert.match(saved[1] ?? '', /EISDIR/);
    assert.equal((await open().load())?.update.revision, 3);
  });

  it('writes and reads ten thousand apis without holding the event loop', async () => {
    const changes = Array.from({ length: 10_000 }, (_, n) => write('api', makeApi(`api-${n}`)));
    let longestMs = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      longestMs = Math.max(longestMs, performance.now() - last);
      last = performance.now();
    }, 1);

    await save(1, changes);
    const copy = await open().load();

    clearInterval(ticker);
    assert.equal(copy?.update.changes.length, 10_000);
    // A slice takes about a millisecond; the bound leaves room for a machine shared with other tests.
    assert.ok(longestMs < 100, `held for ${longestMs} ms`);
  });
});
