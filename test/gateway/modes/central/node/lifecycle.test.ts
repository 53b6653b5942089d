// Facts about the beginning and the end of a node: draining, starting without a database, ports that are taken.
// Must not share a node between facts: each ends its own.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase, runSql, type TestDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, StartFailure, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, publish, write } from '../../../../support/product/publish.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

/** Nothing listens there: connecting fails at once, as with a database that is down. */
const DEAD_DATABASE = 'postgres://nobody:secret@127.0.0.1:1/nothing';
const TIMEOUTS = { connectMs: 2_000, responseMs: 30_000, idleMs: 30_000 };

interface SlowOrigin {
  readonly origin: Origin;
  /** Resolves when so many requests wait for an answer. */
  waitFor(count: number): Promise<void>;
  /** Answers all that wait. */
  answer(): void;
}

async function startSlowOrigin(): Promise<SlowOrigin> {
  const waiting: ServerResponse[] = [];
  let onRequest: () => void = () => undefined;
  const origin = await startOrigin((_, response) => {
    waiting.push(response);
    onRequest();
  });
  return {
    origin,
    waitFor: (count) =>
      new Promise((resolve) => {
        onRequest = () => {
          if (waiting.length >= count) resolve();
        };
        onRequest();
      }),
    answer() {
      for (const response of waiting.splice(0)) response.end('late');
    },
  };
}

/** Tries until it works; each failure is the event that lets it try again. */
async function pollUntilFulfilled(attempt: () => Promise<void>): Promise<void> {
  for (;;) {
    const isDone = await attempt().then(
      () => true,
      () => false,
    );
    if (isDone) return;
  }
}

function isRefused(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}

describe('node life cycle', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let dataDir: string;
  let node: RunningProduct | undefined;

  beforeEach(async () => {
    database = await createDatabase();
    dataDir = await mkdtemp(join(tmpdir(), 'sallyport-node-'));
  });

  afterEach(async () => {
    await node?.stop();
    node = undefined;
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('finishes every request in flight after SIGTERM, takes no new connection, and exits with 0', async () => {
    const slow = await startSlowOrigin();
    await publish(database.url, [write('api', makeApi('slow', { upstream: slow.origin.url, timeouts: TIMEOUTS }))]);
    node = await startNode(database.url, { dataDir });
    const { urls, ended } = node;
    const requests = Array.from({ length: 20 }, async () => (await fetch(`${urls.proxy}/slow`)).text());
    await slow.waitFor(20);

    node.kill('SIGTERM');
    await node.waitForLog((line) => line['message'] === 'draining');
    const ready = await fetch(`${urls.status}/readyz`);
    while (!(await isRefused(urls.proxy)));
    slow.answer();

    assert.deepEqual(
      await Promise.all(requests),
      Array.from({ length: 20 }, () => 'late'),
    );
    assert.deepEqual(await ended, { code: 0, signal: null });
    assert.equal(ready.status, 503);
    await slow.origin.close();
  });

  it('tells the control plane that it is there, and that it is gone', async () => {
    const failIf = (condition: string): Promise<void> =>
      runSql(database.url, `DO $$ BEGIN IF ${condition} THEN RAISE EXCEPTION 'nodes'; END IF; END $$`);
    node = await startNode(database.url, { dataDir });
    await pollUntilFulfilled(() => failIf('NOT EXISTS (SELECT FROM nodes WHERE jsonb_array_length(workers) = 2)'));

    node.kill('SIGTERM');
    await node.ended;

    await failIf('EXISTS (SELECT FROM nodes)');
  });

  it('cuts off what is still in flight when the drain time is over', async () => {
    const slow = await startSlowOrigin();
    await publish(database.url, [write('api', makeApi('slow', { upstream: slow.origin.url, timeouts: TIMEOUTS }))]);
    node = await startNode(database.url, { dataDir, environment: { SALLYPORT_DRAIN_MS: '100' } });
    const answer = fetch(`${node.urls.proxy}/slow`);
    await slow.waitFor(1);

    node.kill('SIGTERM');

    await assert.rejects(answer);
    assert.deepEqual(await node.ended, { code: 0, signal: null });
    await slow.origin.close();
  });

  it('ends at once at a second signal', async () => {
    const slow = await startSlowOrigin();
    await publish(database.url, [write('api', makeApi('slow', { upstream: slow.origin.url, timeouts: TIMEOUTS }))]);
    node = await startNode(database.url, { dataDir });
    const answer = fetch(`${node.urls.proxy}/slow`);
    await slow.waitFor(1);

    node.kill('SIGTERM');
    await node.waitForLog((line) => line['message'] === 'draining');
    node.kill('SIGTERM');

    await assert.rejects(answer);
    assert.equal((await node.ended).code, 1);
    await slow.origin.close();
  });

  it('serves the last good copy within two seconds when the database is down', async () => {
    const origin = await startOrigin();
    await publish(database.url, [write('api', makeApi('orders', { upstream: origin.url, timeouts: TIMEOUTS }))]);
    const first = await startNode(database.url, { dataDir });
    await first.stop();

    node = await startNode(DEAD_DATABASE, { dataDir });
    const answer = await fetch(`${node.urls.proxy}/orders`);
    const ready = (await (await fetch(`${node.urls.status}/readyz`)).json()) as Record<string, unknown>;

    assert.equal(answer.status, 200);
    assert.equal(ready['source'], 'disk');
    assert.equal(ready['revision'], 1);
    await origin.close();
  });

  it('answers 503 without a database and without a copy', async () => {
    node = await startNode(DEAD_DATABASE, { dataDir });

    const answer = await fetch(`${node.urls.proxy}/orders`);
    const ready = await fetch(`${node.urls.status}/readyz`);

    assert.equal(answer.status, 503);
    assert.equal(((await answer.json()) as { code: string }).code, 'NOT_CONFIGURED');
    assert.equal(ready.status, 503);
  });

  for (const setting of ['SALLYPORT_PROXY_LISTEN', 'SALLYPORT_STATUS_LISTEN']) {
    it(`exits with 1 and one line when the port of ${setting} is taken`, async () => {
      const taker = createServer();
      await new Promise<void>((resolve) => taker.listen(0, '127.0.0.1', resolve));
      const address = `127.0.0.1:${(taker.address() as AddressInfo).port}`;

      const start = startNode(database.url, { dataDir, environment: { [setting]: address } });

      await assert.rejects(start, (error: StartFailure) => {
        assert.ok(error instanceof StartFailure);
        assert.equal(error.ending.code, 1);
        assert.deepEqual(error.complaints, [
          `${address} is taken by another process; free it, or set ${setting} to another host:port`,
        ]);
        return true;
      });
      await new Promise((resolve) => taker.close(resolve));
    });
  }

  it('refuses a data directory that another node uses', async () => {
    node = await startNode(database.url, { dataDir });

    await assert.rejects(startNode(database.url, { dataDir }), (error: StartFailure) => {
      assert.equal(error.ending.code, 1);
      assert.match(error.complaints.join('\n'), /^the data directory .* is in use by process \d+; [^\n]*$/);
      return true;
    });
  });
});
