// Facts about a node with a plugin that misbehaves: it harms its own request or its own revision, never the node.
// Must not use a built-in plugin: none of them misbehaves.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Binding } from '../../../../../gateway/core/model.ts';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type LogLine, type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, makeBinding, publish, write } from '../../../../support/product/publish.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

const MANIFEST = {
  name: 'trouble',
  version: '1.0.0',
  title: 'Trouble',
  summary: 'Does what a request asks for.',
  stage: 'transform',
  hooks: ['onRequest'],
  scopes: ['global'],
  failPolicy: 'closed',
  permissions: {},
  engines: { gateway: '^1.0.0' },
};

const HANDLER = `
import { definePlugin } from 'sallyport/plugin';
export const plugin = definePlugin({
  setup(config, host) {
    if (config.isBroken) throw new Error('set-up is broken');
    host.onReopen(() => host.log.info('reopened'));
  },
  onRequest(exchange) {
    const { query } = exchange.request;
    if (query === 'throw') throw new Error('thrown');
    if (query === 'throw-later') setTimeout(() => { throw new Error('thrown later'); });
    if (query === 'reject') void Promise.reject(new Error('rejected'));
    if (query === 'exit') process.exit(7);
    // Waits without work: nothing cuts that.
    if (query === 'block') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  },
});
`;

const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: { isBroken: { type: 'boolean', title: 'Broken', description: 'Throws at set-up.', default: false } },
  examples: [{}],
};

async function writePlugin(folder: string): Promise<void> {
  const own = join(folder, 'trouble');
  await mkdir(own);
  await writeFile(join(own, 'manifest.json'), JSON.stringify(MANIFEST));
  await writeFile(join(own, 'config.schema.json'), JSON.stringify(SCHEMA));
  await writeFile(join(own, 'handler.js'), HANDLER);
  await writeFile(join(own, 'package.json'), '{"type":"module"}');
}

describe('node with a plugin that misbehaves', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let folder: string;
  let node: RunningProduct;
  const binding: Binding = makeBinding('trouble', { config: { isBroken: false } });

  before(async () => {
    database = await createDatabase();
    origin = await startOrigin();
    folder = await mkdtemp(join(tmpdir(), 'sallyport-plugins-'));
    await writePlugin(folder);
    const timeouts = { connectMs: 2_000, responseMs: 30_000, idleMs: 30_000 };
    await publish(database.url, [
      write('api', makeApi('orders', { upstream: origin.url, timeouts })),
      write('binding', binding),
    ]);
    node = await startNode(database.url, { environment: { SALLYPORT_PLUGIN_DIRS: folder } });
  });

  after(async () => {
    await node?.stop();
    await origin.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Sends a request on a connection of its own; gives the status, 0 when the connection broke. */
  const ask = (query = ''): Promise<number> =>
    fetch(`${node.urls.proxy}/orders?${query}`, { headers: { connection: 'close' } }).then(
      async (response) => {
        await response.arrayBuffer();
        return response.status;
      },
      () => 0,
    );

  /** Waits for a line that is not there yet. */
  const next = (fits: (line: LogLine) => boolean): Promise<LogLine> => {
    const known = new Set(node.log);
    return node.waitForLog((line) => !known.has(line) && fits(line));
  };
  const isServing = (line: LogLine): boolean => line['message'] === 'a worker serves';

  it('answers 500 to the request in which a hook throws, and goes on', async () => {
    assert.equal(await ask('throw'), 500);
    assert.equal(await ask(), 200);
  });

  for (const query of ['throw-later', 'reject']) {
    it(`replaces the worker without losing a request after ${query}`, async () => {
      const replaced = next(isServing);
      // Until then it may accept another connection.
      const ended = next((line) => line['message'] === 'a relieved worker has ended');

      const status = await ask(query);
      const others = await Promise.all(Array.from({ length: 50 }, () => ask()));
      await replaced;
      await ended;

      assert.equal(status, 200);
      assert.deepEqual([...new Set(others)], [200]);
      assert.equal(await ask(), 200);
    });
  }

  it('replaces a worker whose code ends the process', async () => {
    const died = next((line) => line['message'] === 'a worker died');
    const replaced = next(isServing);

    const status = await ask('exit');

    assert.equal(status, 0);
    assert.equal((await died)['code'], 7);
    await replaced;
    assert.equal(await ask(), 200);
  });

  it('ends and replaces a worker whose event loop is blocked, and says why', async () => {
    const ended = next((line) => line['message'] === 'a worker is ended');
    const replaced = next(isServing);

    const blocked = ask('block');

    assert.match(String((await ended)['reason']), /event loop is blocked/);
    assert.equal(await blocked, 0);
    await replaced;
    assert.equal(await ask(), 200);
  });

  it('makes every worker reopen its files on SIGHUP', async () => {
    const first = next((line) => line['message'] === 'reopened');

    node.kill('SIGHUP');

    const { pid } = await first;
    await node.waitForLog((line) => line['message'] === 'reopened' && line['pid'] !== pid);
  });

  it('refuses a revision whose plugin does not set up, serves the old one, and takes the next that is mended', async () => {
    const refused = next((line) => line['message'] === 'revision refused; the one in force goes on serving');
    const broken = await publish(database.url, [
      write('binding', { ...binding, config: { isBroken: true } } as Binding),
      write('api', makeApi('later', { upstream: origin.url })),
    ]);
    const { problems } = (await refused) as unknown as { problems: readonly { pointer: string; message: string }[] };
    const metrics = await (await fetch(`${node.urls.status}/metrics`)).text();
    const statusBefore = (await fetch(`${node.urls.proxy}/later`)).status;
    const ready = (await (await fetch(`${node.urls.status}/readyz`)).json()) as { revision: number; isReady: boolean };

    const inForce = next((line) => line['message'] === 'revision in force');
    const mended = await publish(database.url, [write('binding', binding)]);
    const { revision } = await inForce;
    const statusAfter = (await fetch(`${node.urls.proxy}/later`)).status;

    assert.match(problems[0]?.pointer ?? '', new RegExp(`^/bindings/${binding.id}`));
    assert.match(metrics, /^sallyport_snapshot_rejected_total 1$/m);
    assert.match(metrics, new RegExp(`^sallyport_revision\\{state="offered"\\} ${broken}$`, 'm'));
    assert.deepEqual({ revision: ready.revision, isReady: ready.isReady }, { revision: broken - 1, isReady: true });
    assert.deepEqual([statusBefore, statusAfter], [404, 200]);
    assert.equal(revision, mended);
  });
});
