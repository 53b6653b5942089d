// Tests of limits that all nodes share, over a real Redis, and of the way to it.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { LimitStore, LimitVerdict, Logger } from '../../../gateway/core/plugin.ts';
import { createLimits } from '../../../gateway/limits/lease-client.ts';
import { createLimitsKeeper } from '../../../gateway/limits/lease-keeper.ts';
import type { WorkerLimits } from '../../../gateway/limits/options.ts';
import { createRedisStore } from '../../../gateway/limits/shared/redis.ts';
import type { SharedStore } from '../../../gateway/limits/shared/store.ts';
import { openRedis, type TestRedis } from './redis.ts';
import { SimulatedTime } from './simulation.ts';

const FIVE_PER_MINUTE = [{ requests: 5, windowMs: 60_000 }];

function collectLog(lines: string[]): Logger {
  const write = (message: string): void => {
    lines.push(message);
  };
  return { debug: write, info: write, warn: write, error: write };
}

/** Takes until the store answers: it connects in the background. */
async function takeWhenReady(store: SharedStore, name: string): Promise<LimitVerdict> {
  for (;;) {
    try {
      return await store.take(name, FIVE_PER_MINUTE, 'k');
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

describe('createRedisStore', function () {
  this.timeout(10_000);
  let redis: TestRedis | undefined;
  const stores: SharedStore[] = [];
  const lines: string[] = [];

  before(async function () {
    redis = await openRedis();
    if (!redis) this.skip();
  });

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    lines.length = 0;
  });

  after(() => redis?.close());

  function open(): SharedStore {
    const store = createRedisStore({ url: redis?.url ?? '', log: collectLog(lines), random: Math.random });
    stores.push(store);
    return store;
  }

  it('counts what all nodes take together', async () => {
    const nodes = [open(), open()];
    const name = randomUUID();
    for (const node of nodes) await takeWhenReady(node, `${name}-warm`);

    const verdicts: LimitVerdict[] = [];
    for (let index = 0; index < 8; index++) {
      verdicts.push((await nodes[index % 2]?.take(name, FIVE_PER_MINUTE, 'k')) ?? assert.fail());
    }

    assert.deepEqual(
      verdicts.map(({ isAllowed, remaining }) => [isAllowed, remaining]),
      [
        [true, 4],
        [true, 3],
        [true, 2],
        [true, 1],
        [true, 0],
        [false, 0],
        [false, 0],
        [false, 0],
      ],
    );
    assert.ok(verdicts.every(({ resetMs }) => resetMs > 0 && resetMs <= 60_000));
  });

  it('gives back what it took from one window when another refuses', async () => {
    const store = open();
    const name = randomUUID();
    await takeWhenReady(store, `${name}-warm`);
    const windows = [
      { requests: 10, windowMs: 60_000 },
      { requests: 1, windowMs: 3_600_000 },
    ];
    await store.take(name, windows, 'k');
    const refused = await store.take(name, windows, 'k');

    const wide = await store.take(name, windows.slice(0, 1), 'k');

    assert.deepEqual([refused.isAllowed, refused.window], [false, 1]);
    assert.equal(wide.remaining, 8);
  });

  it('rejects at once while Redis is away, says so once, and is back by itself', async function () {
    if (!redis?.isOwn) return this.skip();
    const store = open();
    const name = randomUUID();
    await takeWhenReady(store, name);
    await redis.stop();

    const startedAt = performance.now();
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, () => store.take(name, FIVE_PER_MINUTE, 'other')),
    );
    const tookMs = performance.now() - startedAt;
    await redis.start();
    const back = await takeWhenReady(store, name);

    assert.ok(results.every(({ status }) => status === 'rejected'));
    assert.ok(tookMs < 1_000, `${tookMs} ms`);
    // An empty Redis came back, and nothing that was asked meanwhile was sent late.
    assert.equal(back.remaining, 4);
    assert.deepEqual(lines, ['Redis is out of reach: shared limits follow onStoreFailure', 'Redis is back']);
  });
});

describe('shared limits in a worker', () => {
  interface Node {
    readonly time: SimulatedTime;
    readonly limits: WorkerLimits;
    messages: number;
  }

  function openNode(shared: SharedStore | undefined, isDeaf = false): Node {
    const time = new SimulatedTime();
    const keeper = createLimitsKeeper({
      clock: time,
      scheduler: time.scheduler,
      shared: { redis: shared },
      send: (_workerId, message) => node.limits.onMessage(JSON.parse(JSON.stringify(message))),
    });
    const limits = createLimits({
      clock: time,
      scheduler: time.scheduler,
      hasRedis: true,
      send: (message) => {
        node.messages += 1;
        if (!isDeaf) keeper.onMessage(1, JSON.parse(JSON.stringify(message)));
      },
    });
    const node: Node = { time, limits, messages: 0 };
    return node;
  }

  const answering = (verdict: LimitVerdict): SharedStore => ({ take: async () => verdict, close: async () => {} });

  it('sends the takes of one turn as one message and answers each', async () => {
    const node = openNode(answering({ isAllowed: true, window: 0, remaining: 3, resetMs: 10 }));
    const limiter = node.limits.limiter({ name: 'b', windows: FIVE_PER_MINUTE, store: 'redis' });
    const takes = [limiter.take('a'), limiter.take('b'), limiter.take('c')];

    await node.time.runUntil(1_100);

    assert.deepEqual(
      (await Promise.all(takes)).map(({ remaining }) => remaining),
      [3, 3, 3],
    );
    assert.equal(node.messages, 1);
  });

  it('remembers a refusal until it ends', async () => {
    const node = openNode(answering({ isAllowed: false, window: 0, remaining: 0, resetMs: 5_000 }));
    const limiter = node.limits.limiter({ name: 'b', windows: FIVE_PER_MINUTE, store: 'redis' });
    const first = limiter.take('k');
    await node.time.runUntil(2_000);
    await first;

    assert.deepEqual(limiter.take('k'), { isAllowed: false, window: 0, remaining: 0, resetMs: 4_000 });
    assert.equal(node.messages, 1);
  });

  for (const [why, node] of [
    ['the store fails', () => openNode({ take: () => Promise.reject(new Error('away')), close: async () => {} })],
    ['the node has none', () => openNode(undefined)],
    ['the keeper does not answer', () => openNode(undefined, true)],
  ] as const) {
    it(`rejects when ${why}`, async () => {
      const { limits, time } = node();
      const take = limits.limiter({ name: 'b', windows: FIVE_PER_MINUTE, store: 'redis' }).take('k');
      assert.ok(take instanceof Promise);
      const rejected = assert.rejects(take, /does not answer/);

      await time.runUntil(2_000);

      await rejected;
    });
  }

  it('refuses a limiter for a store that is not set up, and says what is missing', () => {
    const limits = createLimits({ clock: new SimulatedTime(), send: () => undefined });

    assert.throws(
      () => limits.limiter({ name: 'b', windows: FIVE_PER_MINUTE, store: 'redis' }),
      /needs SALLYPORT_REDIS_URL/,
    );
    assert.throws(
      () => limits.limiter({ name: 'b', windows: FIVE_PER_MINUTE, store: 'memory' as LimitStore }),
      /no store "memory"/,
    );
  });
});
