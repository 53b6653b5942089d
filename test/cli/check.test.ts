// `sallyport check` as a person runs it on files that install plugins of the marketplace.
// Must not need a database: the command does not.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, runCommand } from '../support/product/command.ts';

describe('sallyport check, of a file with installs', function () {
  this.timeout(20_000);
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-check-'));
  });

  after(() => rm(folder, { recursive: true }));

  async function check(file: unknown, environment: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    const path = join(folder, 'sallyport.json');
    await writeFile(path, JSON.stringify(file));
    return await runCommand(['check', path], folder, { SALLYPORT_DATA_DIR: join(folder, 'data'), ...environment });
  }

  const install = {
    plugin: 'acme/hello',
    version: '1.0.0',
    granted: { secrets: ['KEY'] },
    secrets: { KEY: 'open-sesame' },
  };
  const api = { name: 'orders', upstream: 'http://127.0.0.1:9', routes: [{ paths: ['/orders'] }] };
  const binding = { plugin: 'acme/hello', scope: { api: 'orders' }, config: { greeting: 'Hello' } };

  it('counts what it has checked, and says what it cannot', async () => {
    const { code, printed, complained } = await check({ installs: [install], apis: [api], bindings: [binding] });

    assert.equal(complained, '');
    assert.equal(code, 0);
    assert.match(
      printed,
      /1 apis, .*1 bindings, 1 installs, whose permissions and configurations the admin service alone/,
    );
  });

  it('says of sealed secrets that there is no key to open them, rather than that they are wrong', async () => {
    const secret = { type: 'jwt', key: 'iss', algorithm: 'HS256', sealedSecret: 'v1.AAAA.BBBB.CCCC' };
    const file = { consumers: [{ username: 'ann', credentials: [secret] }] };

    const without = await check(file);
    const { complained } = await check(file, { SALLYPORT_SECRET_KEY: 'f'.repeat(64) });

    assert.equal(without.code, 1);
    assert.match(
      without.complained,
      /sealedSecret: it is sealed, and no key .* in \S+\/data\/secret-key; set SALLYPORT_/,
    );
    assert.match(complained, /sealedSecret: expected a secret sealed with this installation's key/);
  });

  for (const [what, file, expected] of [
    ['a version that is none', { installs: [{ ...install, version: 'latest' }] }, /\/installs\/0\/version/],
    ['a field that installs do not have', { installs: [{ ...install, colour: 'red' }] }, /\/installs\/0\/colour/],
    ['a secret that is not granted', { installs: [{ ...install, granted: {} }] }, /\/installs\/0\/secrets\/KEY/],
    ['a plugin that is installed twice', { installs: [install, install] }, /\/installs\/1/],
    ['a binding of what the file does not install', { apis: [api], bindings: [binding] }, /\/bindings\/0\/plugin/],
    [
      'a binding of an install to an api that is not there',
      { installs: [install], bindings: [binding] },
      /\/bindings\/0\/scope\/api/,
    ],
  ] as const) {
    it(`points at ${what}`, async () => {
      const { code, complained } = await check(file);

      assert.equal(code, 1);
      assert.match(complained, expected);
    });
  }
});
