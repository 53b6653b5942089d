// A plugin's project from nothing: what `plugin new` writes, and what `plugin test` finds in it.
// Must not reach a registry.
import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCommand } from '../../support/product/command.ts';

/** TypeScript, esbuild and a test runner start, on a machine that does other things too. */
const TIMEOUT_MS = 60_000;

describe('sallyport plugin new', function () {
  this.timeout(TIMEOUT_MS);
  let home: string;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'sallyport-new-'));
  });

  after(() => rm(home, { recursive: true, force: true }));

  it('makes a project whose types, fixtures and unit tests pass at once', async () => {
    const made = await runCommand(['plugin', 'new', 'acme/stamp'], home);
    const tested = await runCommand(['plugin', 'test'], join(home, 'stamp'));

    assert.equal(made.code, 0, made.complained);
    assert.match(made.printed, /cd stamp\n {2}npm run dev\n {2}npm test/);
    assert.equal(
      tested.printed.replace(/TypeScript \S+/, 'TypeScript'),
      'types       ok  TypeScript\nfixtures    ok  2 passed, 0 failed\nunit tests  ok  2 passed, 0 failed\n',
    );
    assert.equal(tested.code, 0);
  });

  it('writes into a folder of your choice, but never over what is there', async () => {
    await mkdir(join(home, 'taken'));
    await writeFile(join(home, 'taken', 'notes.txt'), 'mine');

    const { code, complained } = await runCommand(['plugin', 'new', 'acme/stamp', 'taken'], home);

    assert.equal(code, 1);
    assert.match(complained, /taken is not empty; nothing was written/);
    assert.deepEqual(await readdir(join(home, 'taken')), ['notes.txt']);
  });

  for (const name of ['stamp', 'Acme/stamp', 'acme/../stamp', 'acme/stamp/more', '/stamp']) {
    it(`takes no name such as ${name}`, async () => {
      const { code, complained } = await runCommand(['plugin', 'new', name], home);

      assert.equal(code, 2);
      assert.match(complained, /expected NAMESPACE\/NAME.*Example: acme\/stamp/);
    });
  }

  it('makes nothing in the namespace of the platform, where nobody could publish it', async () => {
    const { code, complained } = await runCommand(['plugin', 'new', 'sallyport/stamp', 'ours'], home);

    assert.equal(code, 2);
    assert.match(complained, /the namespace sallyport is the platform's, .* Example: acme\/stamp\n$/);
    assert.ok(!(await readdir(home)).includes('ours'));
  });
});

describe('sallyport plugin test', function () {
  this.timeout(TIMEOUT_MS);
  let home: string;
  let folder: string;

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'sallyport-test-'));
    folder = join(home, 'stamp');
    await runCommand(['plugin', 'new', 'acme/stamp'], home);
  });

  afterEach(() => rm(home, { recursive: true, force: true }));

  const edit = async (file: string, change: (text: string) => string): Promise<void> => {
    const path = join(folder, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  };

  it('fails and shows each difference from a fixture, and what a unit test says', async () => {
    await edit('src/index.ts', (text) => text.replace(', world', ', everybody'));

    const { code, printed } = await runCommand(['plugin', 'test'], folder);

    assert.equal(code, 1);
    assert.match(printed, /^fixtures {4}FAILED {2}1 passed, 1 failed$/m);
    assert.match(
      printed,
      /^ {2}greets the world when nobody is known\n {4}response\.headers\.x-stamp: expected "Hello, world", got "Hello, everybody"$/m,
    );
    assert.match(printed, /^unit tests {2}FAILED {2}1 passed, 1 failed$/m);
    assert.match(printed, /test\/index\.test\.ts/);
  });

  it('makes the types of the configuration follow the schema, so that code which does not is found', async () => {
    await edit('config.schema.json', (text) => text.replaceAll('"greeting"', '"words"'));

    const { code, printed } = await runCommand(['plugin', 'test'], folder);

    assert.equal(code, 1);
    assert.match(printed, /^types {7}FAILED/m);
    assert.match(printed, /src\/index\.ts.*Property 'greeting' does not exist on type 'Config'/);
    assert.match(await readFile(join(folder, 'src/config.ts'), 'utf8'), /readonly words: string;/);
  });

  it('finds what a plugin will not have where it runs', async () => {
    await edit('src/index.ts', (text) => `import { readFileSync } from 'node:fs';\n${text}void readFileSync;\n`);

    const { code, complained } = await runCommand(['plugin', 'test'], folder);

    assert.equal(code, 1);
    assert.match(
      complained,
      /^src\/index\.ts:1:\d+: node:fs is a module of Node, and a plugin has none where it runs/m,
    );
  });

  it('finds what the manifest does not permit', async () => {
    await edit('src/index.ts', (text) => text.replace("'x-stamp'", "'x-other'"));

    const { code, printed } = await runCommand(['plugin', 'test'], folder);

    assert.equal(code, 1);
    assert.match(printed, /^ {4}a hook failed: .*not granted: .*x-other/m);
  });

  it('points at what does not compile', async () => {
    await appendFile(join(folder, 'src/index.ts'), 'const = 1;\n');

    const { code, complained } = await runCommand(['plugin', 'test'], folder);

    assert.equal(code, 1);
    assert.match(complained, /^src\/index\.ts:\d+:7: Expected identifier but found "="/m);
  });

  it('says what is wrong with a manifest, and where there is none', async () => {
    await edit('manifest.json', (text) => text.replace('"transform"', '"sometime"'));

    const wrong = await runCommand(['plugin', 'test'], folder);
    const none = await runCommand(['plugin', 'test'], home);

    assert.match(wrong.complained, /^manifest\.json:\n {2}\/stage: expected one of "observe"/);
    assert.match(none.complained, /^manifest\.json: there is none in .*; is this a plugin's folder\?/);
    assert.deepEqual([wrong.code, none.code], [1, 1]);
  });
});
