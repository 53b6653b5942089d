// Takes commands and files from docs/write-a-plugin.md and runs them: what the page shows must work.
// Must not replace anything in the commands but the ports.
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadPlugins, readManifests } from '../gateway/loader.ts';
import { readConfig, runPlugin } from '../gateway/testing.ts';
import { mkdirFor } from './support/files.ts';
import {
  fitsOutput,
  openReader,
  outputPattern,
  type Reader,
  readTutorial,
  type TutorialBlock,
} from './support/pages/tutorial.ts';
import { type RunningProduct, startProduct } from './support/product/gateway.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PAGE = join(ROOT, 'docs', 'write-a-plugin.md');
/** A code block outside of the walk-through whose info string names a file. */
const FOLDER_FILE = /^```(?:json|js) (plugins\/\S+)\n(.*?)^```$/gms;
/** A product with a Postgres starts, and a dozen commands of Node. */
const TIMEOUT_MS = 120_000;

describe('docs/write-a-plugin.md, the walk-through', function () {
  this.timeout(TIMEOUT_MS);
  let home: string;
  let product: RunningProduct | undefined;
  let reader: Reader | undefined;

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'sallyport-tutorial-'));
    // A clone after `npm ci`, with a data directory of its own.
    const clone = join(home, 'sallyport');
    await mkdir(clone);
    await copyFile(join(ROOT, 'package.json'), join(clone, 'package.json'));
    for (const name of ['dist', 'node_modules']) await symlink(join(ROOT, name), join(clone, name));
    product = await startProduct({ dataDir: join(clone, '.sallyport') });
  });

  after(async () => {
    await reader?.close();
    await product?.stop();
    await rm(home, { recursive: true, force: true });
  });

  it('does and prints what the page shows', async () => {
    assert.ok(product);
    const { proxy, admin } = product.urls;
    const dev = `127.0.0.1:${await findFreePort()}`;
    const withPorts = (text: string): string =>
      text
        .replaceAll('http://127.0.0.1:8010', `http://${dev}`)
        .replace('npm run dev', `npm run dev -- --listen ${dev}`)
        .replaceAll('http://127.0.0.1:8001', admin)
        .replaceAll('http://127.0.0.1:8000', proxy);
    const blocks = readTutorial(await readFile(PAGE, 'utf8'));
    reader = openReader(home, join(home, 'stamp'), {
      PATH: process.env['PATH'],
      HOME: home,
      SALLYPORT_ADMIN_URL: admin,
    });

    let files: { readonly name: string; readonly text: string }[] = [];
    for (const block of blocks) {
      if (block.kind === 'file') files.push(block);
      else {
        if (files.length > 0) await reader.save(files, /^reloaded/m);
        files = [];
        await follow(reader, block, withPorts);
      }
    }

    assert.ok(blocks.length > 12, 'the page has its blocks');
  });
});

async function follow(
  reader: Reader,
  block: Exclude<TutorialBlock, { readonly kind: 'file' }>,
  withPorts: (text: string) => string,
): Promise<void> {
  const shown = withPorts(block.output);
  if (block.kind === 'said') {
    await reader.hear(outputPattern(shown));
  } else if (block.kind === 'background') {
    await reader.start(withPorts(block.text), /^listening/m);
    await reader.hear(outputPattern(shown));
  } else {
    const printed = await reader.run(withPorts(block.text));
    // What a page does not show is of no interest.
    if (shown !== '') assert.ok(fitsOutput(printed.replaceAll('\r', ''), shown), `expected\n${shown}\ngot\n${printed}`);
  }
}

/** Finds a port that nobody has at the moment. */
async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('docs/write-a-plugin.md, a plugin without a package', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-plugin-'));
    const page = await readFile(PAGE, 'utf8');
    for (const [, name = '', text = ''] of page.matchAll(FOLDER_FILE)) {
      await writeFile(await mkdirFor(folder, name), text);
    }
  });

  after(() => rm(folder, { recursive: true, force: true }));

  it('shows a plugin that the gateway loads, and that finds the contract there', async () => {
    const dirs = [join(folder, 'plugins')];

    const plugins = await loadPlugins(dirs);

    assert.deepEqual([...(await readManifests(dirs)).keys()], ['greeting']);
    const greeting = plugins.get('greeting');
    assert.ok(greeting);
    const config = readConfig(new URL(`file://${folder}/plugins/greeting/`), { greeting: 'Moin' });
    const { headers } = await runPlugin(greeting.plugin, { config });
    assert.equal(headers.get('x-greeting'), 'Moin, stranger');
  });
});
