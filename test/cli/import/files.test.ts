// How an import reads and writes files: what it refuses, what bombs do to it, who may read what it writes.
// Must not look into the import: only at files, lines and exit codes.
import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importFile } from '../../support/import.ts';
import { type CommandResult, runCommand } from '../../support/product/command.ts';

const EXAMPLES = fileURLToPath(new URL('../../../../examples/import/', import.meta.url));
const KONG = '_format_version: "3.0"\n';

describe('sallyport import, and files', function () {
  this.timeout(120_000);
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-import-'));
  });

  afterEach(() => rm(folder, { recursive: true }));

  function call(...words: readonly string[]): Promise<CommandResult> {
    return runCommand(words, folder, { SALLYPORT_DATA_DIR: join(folder, 'data') });
  }

  for (const [format, file] of [
    ['kong', 'kong.yml'],
    ['openapi', 'openapi.yaml'],
  ] as const) {
    it(`makes of the example ${file} what check takes, without a word`, async () => {
      const output = join(folder, 'sallyport.yaml');

      const imported = await call('import', format, join(EXAMPLES, file), '--output', output);
      const checked = await call('check', output);

      assert.equal(imported.complained, '');
      assert.equal(imported.code, 0);
      assert.equal(checked.code, 0, checked.complained);
      assert.equal((await stat(output)).mode & 0o777, 0o600);
    });
  }

  it('replaces a file only when told to, and then makes it private', async () => {
    const [source, output] = [join(folder, 'kong.yml'), join(folder, 'out.yaml')];
    await writeFile(source, KONG);
    await writeFile(output, 'mine', { mode: 0o644 });

    const refused = await call('import', 'kong', source, '--output', output);
    const kept = await readFile(output, 'utf8');
    const forced = await call('import', 'kong', source, '--output', output, '--force');

    assert.equal(refused.code, 1);
    assert.match(refused.complained, /^cannot write .*: it is there already; --force replaces it\n$/);
    assert.equal(kept, 'mine');
    assert.equal(forced.code, 0);
    assert.equal(await readFile(output, 'utf8'), '{}\n');
    assert.equal((await stat(output)).mode & 0o777, 0o600);
  });

  it('refuses a format that is not there, and a file that is not there', async () => {
    const format = await call('import', 'kong', 'kong.yml', '--format', 'toml');
    const file = await call('import', 'kong', 'kong.yml');

    assert.deepEqual([format.code, file.code], [2, 1]);
    assert.match(format.complained, /--format is yaml or json, not "toml"\n$/);
    assert.match(file.complained, /there is no such file\n$/);
  });

  it('refuses a file of 100 MB unread', async () => {
    const source = join(folder, 'kong.yml');
    const file = await open(source, 'w');
    await file.truncate(100 * 1024 * 1024);
    await file.close();

    const { code, complained } = await call('import', 'kong', source);

    assert.equal(code, 1);
    assert.match(complained, /larger than 64 MiB\n$/);
  });

  const level = (index: number): string => `a${index}: &a${index} [${`*a${index - 1}, `.repeat(9)}*a${index - 1}]\n`;
  for (const [what, text, expected] of [
    [
      'aliases that multiply',
      `a0: &a0 [x]\n${Array.from({ length: 9 }, (_, index) => level(index + 1)).join('')}`,
      /alias/,
    ],
    ['nesting', `${KONG}services: ${'['.repeat(100_000)}`, /nested too deeply|YAML/],
    ['the same key twice', `${KONG}services: []\nservices: []\n`, /unique/],
    ['a tag of its own', `${KONG}services: !!js/function x\n`, /tag/],
    ['no version', 'services: []\n', /expected a declarative file of Kong/],
    ['a version to come', '_format_version: "9.0"\n', /_format_version is 9.0/],
    ['a list', '- a\n', /expected an object/],
    ['a section that is no list', `${KONG}services: { a: 1 }\n`, /services: expected a list/],
    ['an entity that is none', `${KONG}services: [1]\n`, /services\[0\]: expected an object/],
    [
      'a field of another kind',
      `${KONG}services: [{ name: s, url: "http://s", retries: many }]\n`,
      /retries: expected a number/,
    ],
    [
      'a variable',
      `${KONG}services: [{ name: s, url: '\${{ env "DECK_URL" }}' }]\n`,
      /services\[0\]\.url: holds \$\{\{ env/,
    ],
  ] as const) {
    it(`refuses ${what} in one line and writes nothing`, async () => {
      const source = join(folder, 'kong.yml');
      await writeFile(source, text);

      const { code, printed, complained } = await call('import', 'kong', source);

      assert.equal(code, 1);
      assert.equal(printed, '');
      const told = complained.trimEnd().split('\n');
      assert.equal(told.length, 1, complained);
      assert.match(complained, expected);
    });
  }

  it('shows no control characters of the file', async () => {
    const services = [{ name: 'a\u001b[2J', url: 'http://s', colour: 'red' }];

    const { told } = await importFile('kong', { _format_version: '3.0', services });

    assert.ok(told.length > 0);
    assert.ok(!told.join('').includes('\u001b'));
  });
});
