// What was acknowledged survives: kill -9 of everything, and a database that is away.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../cli/postgres/embedded-postgres.ts';
import { type AdminClient, connectAdmin } from '../support/product/admin-client.ts';
import { silentLog } from '../support/product/database.ts';
import { type RunningProduct, startProduct } from '../support/product/gateway.ts';
import { countStatuses, startLoad } from '../support/product/load.ts';
import { type Origin, startOrigin } from '../support/wire/origin.ts';

describe('durability', () => {
  let origin: Origin;
  let folder: string;

  before(async () => {
    origin = await startOrigin();
  });

  after(async () => {
    await origin.close();
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-durability-'));
    await mkdir(join(folder, 'database'), { mode: 0o700 });
  });

  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('keeps every acknowledged write through a kill -9 of every process', async () => {
    const first = await startProduct({ dataDir: folder });
    const admin = await connectAdmin(first);
    const acknowledged: string[] = [];
    for (let count = 0; count < 20; count++) {
      const name = `api-${count}`;
      await admin.call('POST', '/v1/apis', { name, upstream: origin.url, routes: [{ paths: [`/${name}`] }] });
      acknowledged.push(name);
    }
    killTree(first.pid);
    await first.ended;

    const second = await startProduct({ dataDir: folder });
    const again = await connectAdmin(second);
    const { body } = await again.call('GET', '/v1/apis?limit=100');
    const answer = await fetch(`${second.urls.proxy}/api-19`);
    await second.stop();

    const names = (body['data'] as readonly { readonly name: string }[]).map(({ name }) => name);
    assert.deepEqual(names.sort(), acknowledged.sort());
    assert.equal(answer.status, 200);
  }).timeout(60_000);

  describe('while Postgres is away', () => {
    let postgres: EmbeddedPostgres;
    let product: RunningProduct;
    let admin: AdminClient;
    let key: string;
    const environment = (): Record<string, string> => ({ DATABASE_URL: postgres.databaseUrl, SALLYPORT_WORKERS: '2' });

    beforeEach(async () => {
      postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'database'), log: silentLog });
      product = await startProduct({ dataDir: join(folder, 'product'), environment: environment() });
      admin = await connectAdmin(product);
      await admin.call('POST', '/v1/apis', { name: 'api', upstream: origin.url, routes: [{ paths: ['/'] }] });
      await admin.call('POST', '/v1/consumers', { username: 'ann' });
      const { body } = await admin.call('POST', '/v1/consumers/ann/credentials', { type: 'key-auth' });
      key = String(body['key']);
      await admin.call('POST', '/v1/bindings', { plugin: 'key-auth', config: {} });
      const limits = [{ requests: 1_000_000, windowSeconds: 60 }];
      await admin.call('POST', '/v1/bindings?wait=applied', { plugin: 'rate-limiting', config: { limits } });
    });

    afterEach(async () => {
      await product.stop();
      await postgres.stop();
    });

    it('gives known keys right answers, unknown keys and writes 503, and heals by itself', async () => {
      const load = startLoad(product.urls.proxy, { connections: 8, path: '/', headers: { apikey: key }, pauseMs: 2 });
      await load.waitFor(50);
      const wrongBefore = await fetch(product.urls.proxy, { headers: { apikey: 'x'.repeat(32) } });
      const { port } = new URL(postgres.databaseUrl);
      await postgres.stop();

      await load.waitFor(200);
      const unknown = await until(async () => {
        const response = await fetch(product.urls.proxy, { headers: { apikey: `y${'x'.repeat(31)}` } });
        return response.status === 503 ? response : undefined;
      });
      const write = await until(async () => {
        const answer = await admin.tryCall('POST', '/v1/consumers', { username: 'bob' });
        return answer.status === 503 ? answer : undefined;
      });
      await load.waitFor(500);
      postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'database'), log: silentLog, port: Number(port) });
      const backAt = performance.now();
      await until(async () => {
        const { status } = await admin.tryCall('POST', '/v1/consumers?wait=applied', { username: 'bob' });
        return status === 201 ? true : undefined;
      });
      const healedMs = performance.now() - backAt;
      const samples = await load.stop();

      assert.equal(wrongBefore.status, 401);
      assert.equal(unknown.headers.get('retry-after'), '1');
      assert.equal(write.body['code'], 'DATABASE_UNAVAILABLE');
      assert.deepEqual(countStatuses(samples), { 200: samples.length });
      assert.ok(healedMs < 5_000, `${healedMs} ms`);
    }).timeout(60_000);

    it('serves from disk after a restart, known keys included', async () => {
      await fetch(product.urls.proxy, { headers: { apikey: key } });
      await product.stop();
      await postgres.stop();

      const startedAt = performance.now();
      product = await startProduct({ dataDir: join(folder, 'product'), environment: environment() });
      const known = await fetch(product.urls.proxy, { headers: { apikey: key } });
      const servedMs = performance.now() - startedAt;
      const unknown = await fetch(product.urls.proxy, { headers: { apikey: 'x'.repeat(32) } });
      const { port } = new URL(postgres.databaseUrl);
      postgres = await startEmbeddedPostgres({ dataDir: join(folder, 'database'), log: silentLog, port: Number(port) });

      assert.equal(known.status, 200);
      assert.equal(unknown.status, 503);
      // Two seconds are promised for a machine of its own; here it is shared, and what counts is that nothing waits for Postgres.
      assert.ok(servedMs < 15_000, `${servedMs} ms on a machine that runs the tests too`);
    }).timeout(60_000);
  });
});

/** Asks until an answer comes; the test's own time-out bounds it. */
async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Ends a process and all its descendants at once, as a power cut would. */
function killTree(pid: number): void {
  const children = listChildren();
  const all = [pid];
  for (const one of all) all.push(...(children.get(one) ?? []));
  for (const one of all) process.kill(one, 'SIGKILL');
}

function listChildren(): Map<number, number[]> {
  const children = new Map<number, number[]>();
  for (const line of execFileSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n')) {
    const [pid = 0, parent = 0] = line.trim().split(/\s+/).map(Number);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  return children;
}
