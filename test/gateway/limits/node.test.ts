// Facts about limits of a real node: two worker processes, their keeper, and sockets.
// Must not know how workers and keeper agree.
import assert from 'node:assert/strict';
import { Agent, request } from 'undici';
import { createDatabase, type TestDatabase } from '../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../support/product/gateway.ts';
import { makeApi, makeBinding, publish, write } from '../../support/product/publish.ts';
import { type Origin, startOrigin } from '../../support/wire/origin.ts';

const CONNECTIONS = 64;

/** Is one request: the gateway decided somewhere between the two times. */
interface Answer {
  readonly status: number;
  readonly sentMs: number;
  readonly receivedMs: number;
}

/** Sends from every connection, one request after the other, for as long as `isOn` says. */
async function flood(url: string, isOn: (sent: number) => boolean): Promise<Answer[]> {
  const agent = new Agent({ connections: CONNECTIONS });
  const answers: Answer[] = [];
  let sent = 0;
  const work = async (): Promise<void> => {
    while (isOn(sent)) {
      sent += 1;
      const sentMs = performance.now();
      const { statusCode, body } = await request(url, { dispatcher: agent });
      await body.dump();
      answers.push({ status: statusCode, sentMs, receivedMs: performance.now() });
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  await agent.close();
  return answers;
}

/** Gives the most passes that lie, for certain, whole in a window of that length. */
function mostForCertain(passes: readonly Answer[], windowMs: number): number {
  const counts = passes.map(
    ({ sentMs }) => passes.filter((pass) => pass.sentMs >= sentMs && pass.receivedMs < sentMs + windowMs).length,
  );
  return Math.max(...counts);
}

describe('limits of a node with two workers', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let node: RunningProduct;

  before(async () => {
    database = await createDatabase();
    origin = await startOrigin();
    const limited = (name: string, requests: number, windowSeconds: number) => {
      const api = makeApi(name, { upstream: origin.url });
      const config = { limits: [{ requests, windowSeconds }], by: 'ip', store: 'local', onStoreFailure: 'open' };
      return [
        write('api', api),
        write('binding', makeBinding('rate-limiting', { scope: { api: api.id }, config })),
      ] as const;
    };
    await publish(database.url, [...limited('burst', 100, 10), ...limited('steady', 100, 2)]);
    node = await startNode(database.url, { environment: { SALLYPORT_WORKERS: '2' } });
  });

  after(async () => {
    await node?.stop();
    await origin.close();
    await database.drop();
  });

  it('pass at most 100 and at least 98 of 400 requests that 64 connections fire', async () => {
    const answers = await flood(`${node.urls.proxy}/burst`, (sent) => sent < 400);

    const passes = answers.filter(({ status }) => status === 200).length;
    const refusals = answers.filter(({ status }) => status === 429).length;
    assert.ok(passes <= 100 && passes >= 98, `${passes} passed`);
    assert.equal(passes + refusals, answers.length);
  });

  it('hold in every window of a flood, and leave nothing unused', async () => {
    const windows = 4;
    const startMs = performance.now();
    const endMs = startMs + windows * 2_000;

    const answers = await flood(`${node.urls.proxy}/steady`, () => performance.now() < endMs);

    const passes = answers.filter(({ status }) => status === 200);
    assert.ok(mostForCertain(passes, 2_000) <= 100, `${mostForCertain(passes, 2_000)} in a window`);
    assert.ok(passes.length >= windows * 98, `${passes.length} passed`);
    assert.ok(answers.every(({ status }) => status === 200 || status === 429));
  });
});
