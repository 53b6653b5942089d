// Starts real processes on one data directory to see who gets the lock.
// Must not need a database.
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openDataDir, readOrCreateSecret } from '../../cli/data-dir.ts';
import { runCommand } from '../support/product/command.ts';

const HOLDER = fileURLToPath(new URL('./data-dir-holder.js', import.meta.url));

const FREE_PORTS = {
  SALLYPORT_PROXY_LISTEN: '127.0.0.1:0',
  SALLYPORT_ADMIN_LISTEN: '127.0.0.1:0',
  SALLYPORT_STATUS_LISTEN: '127.0.0.1:0',
};

describe('data directory', function () {
  this.timeout(30_000);
  let folder: string;
  /** `ended` listens from the start on: a child that loses ends by itself, at any moment. */
  let children: { readonly child: ChildProcess; readonly ended: Promise<unknown> }[];

  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'sallyport-dir-')), 'data');
    children = [];
  });

  afterEach(async () => {
    for (const { child } of children) child.kill('SIGKILL');
    await Promise.all(children.map(({ ended }) => ended));
    await rm(join(folder, '..'), { recursive: true, force: true });
  });

  /** Gives 'held' or the error's message, as the child reports it. */
  async function holdInChild(): Promise<{ child: ChildProcess; answer: string }> {
    const child = fork(HOLDER, [folder]);
    children.push({ child, ended: once(child, 'exit') });
    const [answer] = (await once(child, 'message')) as [string];
    return { child, answer };
  }

  it('is made for its owner alone', async () => {
    const dataDir = await openDataDir(folder);

    assert.equal((await stat(dataDir.path)).mode & 0o777, 0o700);
    await dataDir.close();
  });

  it('refuses a second process and names the first', async () => {
    const { child } = await holdInChild();

    await assert.rejects(
      openDataDir(folder),
      new RegExp(`^CommandError: the data directory .* is in use by process ${child.pid};`),
    );
  });

  it('is free again after it was closed', async () => {
    await (await openDataDir(folder)).close();

    const again = await openDataDir(folder);

    assert.equal((await readdir(folder)).length, 1);
    await again.close();
  });

  it('is taken over from a killed process', async () => {
    const { child } = await holdInChild();
    child.kill('SIGKILL');
    await once(child, 'exit');

    const dataDir = await openDataDir(folder);

    await dataDir.close();
  });

  it('is taken over when the pid of the holder belongs to another process by now', async () => {
    await (await openDataDir(folder)).close();
    await writeFile(join(folder, 'lock.1'), `${process.pid} another-life`);

    const dataDir = await openDataDir(folder);

    await dataDir.close();
  });

  it('lets exactly one of several processes take over', async () => {
    const { child } = await holdInChild();
    child.kill('SIGKILL');
    await once(child, 'exit');

    const results = await Promise.all(Array.from({ length: 6 }, holdInChild));

    assert.equal(results.filter(({ answer }) => answer === 'held').length, 1);
  });

  it('makes a secret once, readable by its owner alone, the same for all', async () => {
    await (await openDataDir(folder)).close();

    const secrets = await Promise.all([1, 2, 3].map(() => readOrCreateSecret(folder, 'secret-key')));

    assert.equal(new Set(secrets.map(({ value }) => value)).size, 1);
    assert.equal(secrets.filter(({ isNew }) => isNew).length, 1);
    assert.equal(Buffer.from(secrets[0]?.value ?? '', 'base64url').length, 32);
    assert.equal((await stat(join(folder, 'secret-key'))).mode & 0o777, 0o600);
    assert.equal((await readFile(join(folder, 'secret-key'), 'utf8')).trim(), secrets[0]?.value);
  });

  it('names the setting when a file is in the way', async () => {
    const file = join(folder, '..', 'file');
    await writeFile(file, '');

    const opening = openDataDir(join(file, 'data'));

    await assert.rejects(opening, {
      name: 'CommandError',
      message:
        `SALLYPORT_DATA_DIR: cannot use ${file}/data: a file is in the way (EEXIST); ` +
        'set it to a folder that this user may write to',
    });
  });

  it('names the setting when a secret cannot be read', async () => {
    await mkdir(join(folder, 'admin-token'), { recursive: true });

    const reading = readOrCreateSecret(folder, 'admin-token');

    await assert.rejects(reading, {
      name: 'CommandError',
      message: /^SALLYPORT_DATA_DIR: cannot use \S+admin-token: /,
    });
  });

  it('ends where the system says of every new folder that there is none', async function () {
    if (process.platform !== 'linux') this.skip();

    // In a process of its own: what never ends here would hold a thread of this one.
    const { code, complained } = await runCommand(['start'], join(folder, '..'), {
      SALLYPORT_DATA_DIR: '/proc/sallyport/data',
      ...FREE_PORTS,
    });

    assert.equal(code, 1);
    assert.match(
      complained,
      /^SALLYPORT_DATA_DIR: cannot use \/proc\/sallyport\/data: nothing can be made there \(ENOENT\); /,
    );
  });

  for (const name of ['admin-token', 'secret-key']) {
    it(`ends a start with one line when ${name} is empty`, async () => {
      await mkdir(folder);
      await writeFile(join(folder, name), '');

      const { code, complained } = await runCommand(['start'], folder, { SALLYPORT_DATA_DIR: folder, ...FREE_PORTS });

      assert.equal(code, 1);
      assert.match(complained, new RegExp(`^\\S+/${name} is empty: restore it[^\n]*\n$`));
    });
  }

  for (const command of ['start', 'gateway', 'check']) {
    it(`refuses a damaged secret-key before ${command} does anything, without a word of it`, async () => {
      await mkdir(folder);
      await writeFile(join(folder, 'secret-key'), 'garbage\n');
      await writeFile(join(folder, 'sallyport.json'), '{}');

      const words = command === 'check' ? [command, 'sallyport.json'] : [command];
      const { code, complained } = await runCommand(words, folder, {
        SALLYPORT_DATA_DIR: folder,
        DATABASE_URL: 'postgres://127.0.0.1:1/none',
        ...FREE_PORTS,
      });

      assert.equal(code, 1);
      assert.match(
        complained,
        /^\S+\/secret-key is damaged: expected 32 bytes as 64 hex [^\n]* SALLYPORT_SECRET_KEY\n$/,
      );
      assert.ok(!complained.includes('garbage'), complained);
    });
  }

  it('refuses an empty secret instead of making another', async () => {
    await (await openDataDir(folder)).close();
    await writeFile(join(folder, 'admin-token'), '');

    await assert.rejects(readOrCreateSecret(folder, 'admin-token'), /admin-token is empty/);
  });
});
