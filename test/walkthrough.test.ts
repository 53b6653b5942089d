// Runs the walk-through that the README shows, word for word, against the whole product.
// Must not replace anything in the commands but the ports.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildOrdersService } from '../examples/orders/service.ts';
import { readSteps, runCommands, type Step } from './support/pages/walkthrough.ts';
import { type RunningProduct, startProduct } from './support/product/gateway.ts';

const PAGE = new URL('../../README.md', import.meta.url);
const SCRIPT = new URL('../../examples/orders/walkthrough.sh', import.meta.url);
/** Starts a Postgres, a product and some dozens of curls. */
const TIMEOUT_MS = 60_000;

async function readPage(): Promise<readonly Step[]> {
  return readSteps(await readFile(PAGE, 'utf8'));
}

describe('the walk-through', () => {
  it('is the same in the page and in the script', async () => {
    const steps = await readPage();

    const script = await readFile(SCRIPT, 'utf8');

    assert.ok(steps.length > 5);
    assert.equal(script.slice(script.indexOf('\n\n') + 2), steps.map(({ commands }) => commands).join('\n'));
  });

  describe('against a fresh product', () => {
    let folder: string;
    let orders: Server;
    let product: RunningProduct | undefined;

    before(async function () {
      this.timeout(TIMEOUT_MS);
      folder = await mkdtemp(join(tmpdir(), 'sallyport-walkthrough-'));
      orders = buildOrdersService().listen(0, '127.0.0.1');
      await once(orders, 'listening');
      product = await startProduct({ dataDir: join(folder, '.sallyport') });
    });

    after(async function () {
      this.timeout(TIMEOUT_MS);
      await product?.stop();
      orders.close();
      orders.closeAllConnections();
      await rm(folder, { recursive: true, force: true });
    });

    it('prints what the page shows', async function () {
      this.timeout(TIMEOUT_MS);
      assert.ok(product);
      const { proxy, admin } = product.urls;
      const address = orders.address();
      assert.ok(address !== null && typeof address === 'object');
      const steps = await readPage();
      const commands = steps.map((step) =>
        step.commands
          .replaceAll('http://127.0.0.1:8000', proxy)
          .replaceAll('http://127.0.0.1:8001', admin)
          .replaceAll('http://127.0.0.1:9000', `http://127.0.0.1:${address.port}`),
      );

      const outputs = await runCommands(commands, folder);

      assert.deepEqual(
        outputs,
        steps.map(({ output }) => output),
      );
    });
  });
});
