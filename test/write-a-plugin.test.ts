// Takes the plugin from docs/write-a-plugin.md and runs it: what the page shows must work.
// Must not repeat what the page says.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadPlugins, readManifests } from '../gateway/loader.ts';
import { readConfig, runPlugin } from '../gateway/testing.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** A code block whose info string names a file. */
const FILE_BLOCK = /^```(?:json|js) (\S+)\n(.*?)^```$/gms;

describe('docs/write-a-plugin.md', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-plugin-'));
    const page = await readFile(join(root, 'docs', 'write-a-plugin.md'), 'utf8');
    for (const [, name = '', text = ''] of page.matchAll(FILE_BLOCK)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    // The place that the page prepares by hand.
    await mkdir(join(folder, 'node_modules'));
    await symlink(root, join(folder, 'node_modules', 'sallyport'), 'dir');
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it('shows a plugin that passes its own tests', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--test', 'plugins/greeting/'], {
      cwd: folder,
      env: { PATH: process.env['PATH'] },
    });

    assert.match(stdout, /pass 3\b/);
    assert.match(stdout, /fail 0\b/);
  });

  it('shows a plugin that the gateway loads, and that finds the contract there', async () => {
    await rm(join(folder, 'node_modules'), { recursive: true });
    const dirs = [join(folder, 'plugins')];

    const plugins = await loadPlugins(dirs);

    assert.deepEqual([...(await readManifests(dirs)).keys()], ['greeting']);
    const greeting = plugins.get('greeting');
    assert.ok(greeting);
    const config = readConfig(new URL(`file://${folder}/plugins/greeting/`), { banned: ['bad-bot'] });
    const request = { headers: { 'user-agent': 'bad-bot' } };
    const { status, body } = await runPlugin(greeting.plugin, { config, request });
    assert.deepEqual([status, JSON.parse(body).code], [403, 'FORBIDDEN']);
  });
});
