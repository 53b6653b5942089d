// From a project to a signed package: what is in it, what is refused, who can read the key.
// Must not reach a marketplace.
import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEnvelope, verifySignatures } from '../../../gateway/package/dsse.ts';
import { keyIdOf, readPrivateKey, readPublicKey } from '../../../gateway/package/keys.ts';
import { openPackage } from '../../../gateway/package/package.ts';
import { compareStatement, readStatement } from '../../../gateway/package/statement.ts';
import { type CommandResult, runCommand } from '../../support/product/command.ts';

const TIMEOUT_MS = 60_000;
const PACKAGE = 'acme-stamp-1.0.0.tgz';
const PASSPHRASE = 'correct horse battery';

describe('sallyport plugin pack, keygen and sign', function () {
  this.timeout(TIMEOUT_MS);
  let home: string;
  let folder: string;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'sallyport-pack-'));
    await runCommand(['plugin', 'new', 'acme/stamp', 'original'], home);
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(home, 'stamp-'));
    await cp(join(home, 'original'), folder, { recursive: true });
  });

  after(() => rm(home, { recursive: true, force: true }));

  const run = (words: string, environment: Readonly<Record<string, string>> = {}): Promise<CommandResult> =>
    runCommand(['plugin', ...words.split(' ')], folder, environment);
  const edit = async (file: string, change: (text: string) => string): Promise<void> => {
    const path = join(folder, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  };

  it('packs one bundled file and what is said about it, and prints size and digests', async () => {
    const { code, printed, complained } = await run('pack');

    assert.equal(code, 0, complained);
    const bytes = await readFile(join(folder, PACKAGE));
    const opened = openPackage(bytes);
    assert.deepEqual(Object.keys(opened.files).sort(), [
      'CHANGELOG.md',
      'README.md',
      'config.schema.json',
      'fixtures/greets-the-consumer.json',
      'fixtures/greets-the-world.json',
      'index.js',
      'manifest.json',
    ]);
    assert.match(opened.code, /from "sallyport\/plugin"/);
    assert.ok(!opened.code.includes(folder), 'no path of this machine');
    assert.ok(printed.endsWith(`${PACKAGE}: ${bytes.length} bytes, sha256 ${opened.sha256}\n`), printed);
  });

  it('gives the same bytes for the same sources, wherever they lie', async () => {
    await run('pack');
    const elsewhere = join(home, 'a', 'longer', 'way');
    await cp(folder, elsewhere, { recursive: true });
    await writeFile(
      join(elsewhere, 'tsconfig.json'),
      '{"compilerOptions": {"target": "es5", "useDefineForClassFields": false}}',
    );

    await runCommand(['plugin', 'pack', '--out', 'again.tgz'], elsewhere);

    assert.deepEqual(await readFile(join(elsewhere, 'again.tgz')), await readFile(join(folder, PACKAGE)));
  });

  it('writes nothing when a fixture fails', async () => {
    await edit('src/index.ts', (text) => text.replace(', world', ', you'));

    const { code, complained } = await run('pack');

    assert.equal(code, 1);
    assert.match(complained, /^the fixtures fail, so nothing was written:\ngreets the world/);
    await assert.rejects(stat(join(folder, PACKAGE)));
  });

  for (const [what, file, change, expected] of [
    ['a schema that takes unknown keys', 'config.schema.json', /"additionalProperties": false,/, /SCHEMA_INVALID/],
    ['a schema without an example', 'config.schema.json', /,\s*"examples": \[[^\]]*\]/, /SCHEMA_INVALID/],
    ['a name without a namespace', 'manifest.json', /acme\//, /MANIFEST_INVALID/],
  ] as const) {
    it(`refuses what the marketplace would refuse: ${what}`, async () => {
      await edit(file, (text) => text.replace(change, ''));

      const { code, complained } = await run('pack');

      assert.equal(code, 1);
      assert.match(complained, expected);
    });
  }

  it('makes a key that only its owner may read, and only with the passphrase', async () => {
    const { code, printed } = await run('keygen', { SALLYPORT_KEY_PASSPHRASE: PASSPHRASE });

    assert.equal(code, 0);
    assert.equal((await stat(join(folder, 'publisher.key'))).mode & 0o777, 0o600);
    const pem = await readFile(join(folder, 'publisher.key'), 'utf8');
    assert.throws(() => readPrivateKey(pem), /passphrase/);
    const id = keyIdOf(readPrivateKey(pem, PASSPHRASE));
    assert.equal(id, keyIdOf(readPublicKey(await readFile(join(folder, 'publisher.key.pub'), 'utf8'))));
    assert.ok(printed.endsWith(`key id ${id}\n`) && !printed.includes('PRIVATE'), printed);
  });

  it('never overwrites a key', async () => {
    await run('keygen --no-passphrase');
    const before = await readFile(join(folder, 'publisher.key'));

    const { code, complained } = await run('keygen --no-passphrase');

    assert.deepEqual([code, complained], [1, 'publisher.key is there already; it was left as it is\n']);
    assert.deepEqual(await readFile(join(folder, 'publisher.key')), before);
  });

  it('takes no short passphrase, and asks nobody where there is no terminal', async () => {
    await writeFile(join(folder, 'short'), '1234567\n');

    const short = await run('keygen --passphrase-file short');
    const none = await run('keygen');

    assert.match(short.complained, /shorter than 8 characters/);
    assert.match(none.complained, /no terminal to ask at: use --passphrase-file or SALLYPORT_KEY_PASSPHRASE/);
    assert.deepEqual([short.code, none.code], [1, 2]);
  });

  it('signs a statement of exactly this package', async () => {
    await writeFile(join(folder, 'secret'), `${PASSPHRASE}\nsecond line\n`);
    await edit('manifest.json', (text) =>
      text.replace('"stage"', '"repository": "https://example.com/stamp",\n  "stage"'),
    );
    await run('pack');
    await run('keygen acme.key --passphrase-file secret');
    const commit = 'a'.repeat(40);

    const { code, complained } = await run(
      `sign ${PACKAGE} --key acme.key --passphrase-file secret --commit ${commit}`,
    );

    assert.equal(code, 0, complained);
    const envelope = readEnvelope(JSON.parse(await readFile(join(folder, `${PACKAGE}.dsse.json`), 'utf8')));
    const publicKey = readPublicKey(await readFile(join(folder, 'acme.key.pub'), 'utf8'));
    const id = keyIdOf(publicKey);
    assert.deepEqual([...verifySignatures(envelope, new Map([[id, publicKey]]))], [id]);
    const statement = readStatement(envelope);
    assert.deepEqual(compareStatement(statement, openPackage(await readFile(join(folder, PACKAGE)))), []);
    assert.deepEqual(statement.source, { repository: 'https://example.com/stamp', commit });
  });

  it('signs nothing that is no package, and nothing with a wrong passphrase', async () => {
    await run('pack');
    await run('keygen', { SALLYPORT_KEY_PASSPHRASE: PASSPHRASE });

    const notPackage = await run('sign README.md', { SALLYPORT_KEY_PASSPHRASE: PASSPHRASE });
    const wrong = await run(`sign ${PACKAGE}`, { SALLYPORT_KEY_PASSPHRASE: 'something else' });

    assert.match(notPackage.complained, /^README\.md: .*ARCHIVE_INVALID/);
    assert.match(wrong.complained, /^publisher\.key: .*KEY_INVALID/);
    assert.deepEqual([notPackage.code, wrong.code], [1, 1]);
    await assert.rejects(stat(join(folder, `${PACKAGE}.dsse.json`)));
  });
});
