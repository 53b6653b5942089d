// A node that runs out of files: some are refused, nobody waits for ever, and all is well when there are files again.
// Must not count on how many there are: the limit is set around what is open.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, publish, write } from '../../../../support/product/publish.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

/** Files left to each process: for a dozen requests with a connection on each side. */
const SPARE = 24;
const CLIENTS = 100;

describe('a node without files', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let node: RunningProduct;

  before(async function () {
    if (spawnSync('prlimit', ['--version']).status !== 0) {
      if (process.env['CI'] === 'true') throw new Error('CI needs prlimit');
      process.stdout.write('    skipped, for there is no prlimit\n');
      this.skip();
    }
    database = await createDatabase();
    origin = await startOrigin();
    await publish(database.url, [write('api', makeApi('orders', { upstream: origin.url }))]);
    node = await startNode(database.url, { environment: { SALLYPORT_WORKERS: '1' } });
  });

  after(async () => {
    await node?.stop();
    await origin?.close();
    await database?.drop();
  });

  /** Asks once; gives the status, or 0 when the connection closes without an answer. The connection stays open. */
  function ask(sockets: Socket[]): Promise<number> {
    const { hostname, port } = new URL(node.urls.proxy);
    const socket = connect(Number(port), hostname);
    sockets.push(socket);
    return new Promise((resolve) => {
      socket.on('error', () => resolve(0));
      socket.on('close', () => resolve(0));
      socket.on('data', (bytes: Buffer) => resolve(Number(bytes.toString('latin1', 9, 12))));
      socket.write('GET /orders HTTP/1.1\r\nHost: h\r\n\r\n');
    });
  }

  for (const who of ['worker', 'keeper'] as const) {
    it(`goes on when its ${who} has none left, and is as before when there are some`, async () => {
      const serving = await node.waitForLog((line) => line['message'] === 'a worker serves');
      const pid = who === 'worker' ? Number(serving['workerPid']) : node.pid;
      // Leaves a connection to the target that one of them can have.
      const sockets: Socket[] = [];
      await ask(sockets);
      const open = readdirSync(`/proc/${pid}/fd`).length;
      const limited = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${open + SPARE}:`]);
      assert.equal(limited.status, 0, String(limited.stderr));

      const statuses = await Promise.all(Array.from({ length: CLIENTS }, () => ask(sockets)));
      await Promise.all(
        sockets.map(async (socket) => {
          const closed = socket.closed ? undefined : once(socket, 'close');
          socket.destroy();
          await closed;
        }),
      );
      const later: Socket[] = [];
      const answers: number[] = [];
      while (answers.at(-1) !== 200) answers.push(await ask(later));
      for (const socket of later) socket.destroy();

      const seen = new Set(statuses);
      // Workers accept and connect; what their keeper lacks is not what they need.
      if (who === 'keeper') assert.deepEqual([...seen], [200]);
      else assert.ok(seen.has(200) && seen.size > 1, [...seen].join());
      // No target is to blame, and none is ejected.
      for (const status of seen) assert.ok([0, 200, 503].includes(status), String(status));
      assert.ok(!node.log.some((line) => line['message'] === 'a worker died'));
      assert.equal((await fetch(`${node.urls.status}/readyz`)).status, 200);
      spawnSync('prlimit', ['--pid', String(pid), '--nofile=4096:']);
    });
  }
});
