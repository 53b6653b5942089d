// `plugin publish` against a real marketplace: the examples go through it, and what would be refused is not used up.
// Must not install anything.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startTestMarket, type TestMarket } from '../../admin/marketplace/support.ts';
import { type CommandResult, runCommand } from '../../support/product/command.ts';

const TIMEOUT_MS = 120_000;
const EXAMPLES = fileURLToPath(new URL('../../../../examples/plugins', import.meta.url));
const NAMES = ['header-stamp', 'json-masker', 'webhook-signer', 'ab-router', 'hostile'];

describe('sallyport plugin publish', function () {
  this.timeout(TIMEOUT_MS);
  let home: string;
  let market: TestMarket;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'sallyport-publish-'));
    await cp(EXAMPLES, home, { recursive: true });
    market = await startTestMarket();
    await run('.', 'keygen publisher.key --no-passphrase');
  });

  after(async () => {
    await market.close();
    await rm(home, { recursive: true, force: true });
  });

  const run = (folder: string, words: string): Promise<CommandResult> =>
    runCommand(['plugin', ...words.split(' ')], join(home, folder), {
      SALLYPORT_ADMIN_URL: market.admin.url,
      SALLYPORT_ADMIN_TOKEN: market.tokens.publisher,
    });
  const packAndSign = async (folder: string): Promise<string> => {
    const file = `examples-${folder}-1.0.0.tgz`;
    for (const words of ['pack', `sign ${file} --key ../publisher.key`]) {
      const { code, complained } = await run(folder, words);
      assert.equal(code, 0, complained);
    }
    return file;
  };

  it('registers nothing in a dry run, and shows what can be checked here', async () => {
    const file = await packAndSign('hostile');

    const { code, printed, complained } = await run(
      'hostile',
      `publish ${file} --register ../publisher.key.pub --dry-run`,
    );

    assert.equal(code, 0, complained);
    assert.match(printed, /^would register the namespace examples, key [0-9a-f]{64}$/m);
    assert.match(printed, /^passed {2}secrets {7}/m);
    assert.match(printed, /^passed {2}signature {5}Signed by the key [0-9a-f]{64} of examples\.$/m);
    await market.admin.expect(404, 'GET', '/v1/marketplace/publishers/examples');
  });

  it('says in a dry run that the key to register has not signed the package', async () => {
    await run('.', 'keygen stranger.key --no-passphrase');
    const file = await packAndSign('hostile');

    const { code, printed, complained } = await run(
      'hostile',
      `publish ${file} --register ../stranger.key.pub --dry-run`,
    );

    assert.equal(code, 1);
    assert.match(printed, /^failed {2}signature {5}Not signed by a key of examples\.$/m);
    assert.match(complained, /^a check failed/);
  });

  for (const [what, name] of [
    ['a private key', 'publisher.key'],
    ['an encrypted private key', 'encrypted.key'],
    ['what is no key', 'header-stamp/manifest.json'],
    ['a key of another kind', 'rsa.pub'],
  ] as const) {
    it(`sends nothing when --register names ${what}`, async () => {
      await writeFile(join(home, 'passphrase'), 'correct horse\n');
      if (name === 'encrypted.key') await run('.', `keygen ${name} --passphrase-file passphrase`);
      const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
      await writeFile(join(home, 'rsa.pub'), rsa.export({ format: 'pem', type: 'spki' }));
      const file = await packAndSign('hostile');

      const { code, complained } = await run('hostile', `publish ${file} --register ../${name}`);

      assert.equal(code, 2);
      assert.match(complained, /^--register \.\.\/\S+: expected [^\n]*Ed25519 public key, PEM; nothing was sent$/m);
      await market.admin.expect(404, 'GET', '/v1/marketplace/publishers/examples');
    });
  }

  it('takes every example from its sources to an approved version', async () => {
    for (const [index, name] of NAMES.entries()) {
      const file = await packAndSign(name);
      const register = index === 0 ? ' --register ../publisher.key.pub' : '';

      const { code, printed, complained } = await run(name, `publish ${file}${register}`);

      assert.equal(code, 0, complained);
      assert.match(printed, new RegExp(`^examples/${name} 1\\.0\\.0, sha256 [0-9a-f]{64}, is pending$`, 'm'));
      assert.ok(!/^failed/m.test(printed), printed);
      const path = `/v1/marketplace/plugins/examples/${name}/versions/1.0.0`;
      const body = { decision: 'approve' };
      const approved = await market.admin.expect(200, 'POST', `${path}/review`, {
        body,
        token: market.tokens.reviewer,
      });
      assert.equal(approved.body['state'], 'approved');
    }
  });

  it('shows the checks and keeps nothing in a dry run', async () => {
    await edit('header-stamp/manifest.json', (text) => text.replace('"1.0.0"', '"1.1.0"'));
    await run('header-stamp', 'pack --out next.tgz');
    await run('header-stamp', 'sign next.tgz --key ../publisher.key');

    const { code, printed } = await run('header-stamp', 'publish next.tgz --dry-run');

    assert.equal(code, 0);
    assert.match(printed, /^passed {2}imports {7}Imports sallyport\/plugin only\.$/m);
    assert.ok(!printed.includes('is pending'), printed);
    await market.admin.expect(404, 'GET', '/v1/marketplace/plugins/examples/header-stamp/versions/1.1.0');
  });

  it('says what a foreign key comes to, and that a namespace is taken', async () => {
    await run('.', 'keygen other.key --no-passphrase');
    await edit('ab-router/manifest.json', (text) => text.replace('"1.0.0"', '"1.1.0"'));
    await run('ab-router', 'pack --out next.tgz');
    await run('ab-router', 'sign next.tgz --key ../other.key');

    const foreign = await run('ab-router', 'publish next.tgz');
    const taken = await run('ab-router', 'publish next.tgz --register ../other.key.pub');

    assert.match(foreign.complained, /\/envelope\/signatures: expected a signature by a key of examples/);
    assert.match(taken.complained, /namespace examples is taken, .* leave --register out$/m);
    assert.deepEqual([foreign.code, taken.code], [1, 1]);
  });

  it('goes on when the namespace has the very key that is to be registered', async () => {
    await edit('hostile/manifest.json', (text) => text.replace('"1.0.0"', '"1.1.0"'));
    await run('hostile', 'pack --out again.tgz');
    await run('hostile', 'sign again.tgz --key ../publisher.key');

    const { code, printed, complained } = await run('hostile', 'publish again.tgz --register ../publisher.key.pub');

    assert.equal(code, 0, complained);
    assert.match(printed, /^the namespace examples has this key already$/m);
    assert.match(printed, /^examples\/hostile 1\.1\.0, .* is pending$/m);
  });

  it('asks for the signature first', async () => {
    await run('hostile', 'pack --out unsigned.tgz');

    const { code, complained } = await run('hostile', 'publish unsigned.tgz');

    assert.equal(code, 1);
    assert.match(complained, /unsigned\.tgz\.dsse\.json: there is no such file; `sallyport plugin sign` makes it/);
  });

  it('does not even pack what a review would refuse', async () => {
    await edit('json-masker/README.md', (text) => `${text}\n-----BEGIN PRIVATE KEY-----\n`);

    const { code, complained } = await run('json-masker', 'pack');

    assert.equal(code, 1);
    assert.match(complained, /^the marketplace would refuse this:\n {2}secrets: Found a private key in README\.md/);
  });

  async function edit(file: string, change: (text: string) => string): Promise<void> {
    const path = join(home, file);
    await writeFile(path, change(await readFile(path, 'utf8')));
  }
});
