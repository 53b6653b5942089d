// Facts about a node of real processes: keeper, workers, sockets, Postgres.
// Must not know how a node does it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { plain, readTable } from '../../../../support/pages/markdown.ts';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, publish, write } from '../../../../support/product/publish.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

/** Asks until `fits`; each answer is the event that lets it ask again. */
async function pollUntil<Value>(ask: () => Promise<Value>, fits: (value: Value) => boolean): Promise<Value> {
  for (;;) {
    const value = await ask();
    if (fits(value)) return value;
  }
}

interface Load {
  readonly answers: { readonly sentMs: number; readonly status: number }[];
  stop(): Promise<void>;
}

/** Connections of the load, and so the most requests in flight. */
const MAX_IN_FLIGHT = 32;
/** Longest that a request of the load takes from its sending to the worker's kernel, on a busy machine. */
const IN_FLIGHT_MS = 100;
const REQUESTS_PER_TICK = 4;
const TICK_MS = 10;

/** Sends 400 requests a second over kept-alive connections, whatever the answers. Status 0: the connection broke. */
function startLoad(url: string): Load {
  const agent = new Agent({ connections: MAX_IN_FLIGHT });
  const answers: { sentMs: number; status: number }[] = [];
  const inFlight = new Set<Promise<void>>();
  const send = async (): Promise<void> => {
    const sentMs = performance.now();
    try {
      const { statusCode, body } = await request(url, { dispatcher: agent });
      await body.dump();
      answers.push({ sentMs, status: statusCode });
    } catch {
      answers.push({ sentMs, status: 0 });
    }
  };
  const pace = setInterval(() => {
    for (let index = 0; index < REQUESTS_PER_TICK; index++) {
      const sent = send().finally(() => inFlight.delete(sent));
      inFlight.add(sent);
    }
  }, TICK_MS);
  return {
    answers,
    async stop() {
      clearInterval(pace);
      await Promise.all(inFlight);
      await agent.close();
    },
  };
}

describe('node', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let node: RunningProduct;

  before(async () => {
    database = await createDatabase();
    origin = await startOrigin();
    await publish(database.url, [write('api', makeApi('orders', { upstream: origin.url }))]);
    node = await startNode(database.url);
  });

  after(async () => {
    await node?.stop();
    await origin.close();
    await database.drop();
  });

  it('serves what the database says, and says so on the status port', async () => {
    const answer = await fetch(`${node.urls.proxy}/orders`);
    const ready = await fetch(`${node.urls.status}/readyz`);

    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), 'ok');
    assert.equal(ready.status, 200);
    const { revision, source } = (await ready.json()) as { revision: number; source: string };
    assert.deepEqual({ revision, source }, { revision: 1, source: 'live' });
  });

  it('puts a change in force on all workers', async () => {
    const number = await publish(database.url, [write('api', makeApi('later', { upstream: origin.url }))]);

    await node.waitForLog((line) => line['message'] === 'revision in force' && line['revision'] === number);

    const statuses = await Promise.all(
      Array.from(
        { length: 20 },
        async () => (await fetch(`${node.urls.proxy}/later`, { headers: { connection: 'close' } })).status,
      ),
    );
    assert.deepEqual([...new Set(statuses)], [200]);
  });

  it('sums the metrics of its workers', async () => {
    const text = await (await fetch(`${node.urls.status}/metrics`)).text();

    const count = /^sallyport_requests_total\{status="2xx"\} (\d+)$/m.exec(text)?.[1];
    assert.equal(Number(count), origin.seen.length);
    assert.match(text, /^sallyport_workers 2$/m);
    assert.match(text, /^sallyport_revision\{state="served"\} 2$/m);
  });

  it('shows every metric that the pages list, and no other', async () => {
    const text = await (await fetch(`${node.urls.status}/metrics`)).text();

    const page = readFileSync(new URL('../../../../../../docs/operations.md', import.meta.url), 'utf8');
    const listed = readTable(page, 'Metrics').map(([name]) => plain(name));
    const shown = [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name);
    assert.deepEqual(shown.sort(), [...listed].sort());
  });

  it('loses only the requests in flight when a worker is killed, and replaces it at once', async () => {
    const load = startLoad(`${node.urls.proxy}/orders`);
    await pollUntil(
      () => new Promise<number>((resolve) => setImmediate(() => resolve(load.answers.length))),
      (count) => count > 200,
    );
    const serving = node.log.filter((line) => line['message'] === 'a worker serves');
    const victim = Number(serving[0]?.['workerPid']);

    const killedMs = performance.now();
    process.kill(victim, 'SIGKILL');
    const died = await node.waitForLog((line) => line['message'] === 'a worker died');
    await node.waitForLog(
      (line) => line['message'] === 'a worker serves' && line['slot'] === died['slot'] && line['workerPid'] !== victim,
    );
    await load.stop();

    const failed = load.answers.filter(({ status }) => status !== 200);
    // How long its code then takes to load is the machine's affair.
    assert.equal(died['respawnInMs'], 0);
    // A request is in flight for a few milliseconds; what was sent after the death finds the other worker.
    assert.deepEqual(
      failed.filter(({ sentMs }) => sentMs > killedMs + IN_FLIGHT_MS),
      [],
    );
    assert.ok(failed.length <= MAX_IN_FLIGHT, `${failed.length} failed`);
  });

  it('keeps its counters when a worker dies', async () => {
    const read = async (): Promise<number> => {
      const text = await (await fetch(`${node.urls.status}/metrics`)).text();
      return Number(/^sallyport_requests_total\{status="2xx"\} (\d+)$/m.exec(text)?.[1]);
    };
    const before = await read();
    const [worker] = node.log.filter((line) => line['message'] === 'a worker serves').slice(-1);
    const dead = new Promise<unknown>((resolve) => {
      resolve(
        node.waitForLog((line) => line['message'] === 'a worker died' && line['workerPid'] === worker?.['workerPid']),
      );
    });

    process.kill(Number(worker?.['workerPid']), 'SIGKILL');
    await dead;

    assert.ok((await read()) >= before);
  });
});
