// Tests of keeper and workers together, in simulated time over simulated pipes: the limit holds in every true window.
import assert from 'node:assert/strict';
import type { LimitWindow } from '../../../gateway/core/plugin.ts';
import { mostInAnyWindow, randomFrom, World } from './simulation.ts';

const HUNDRED_PER_TEN_SECONDS: LimitWindow = { requests: 100, windowMs: 10_000 };

function assertHolds(passes: readonly number[], { requests, windowMs }: LimitWindow): void {
  const most = mostInAnyWindow(passes, windowMs);
  assert.ok(most <= requests, `${most} passes in a window of ${windowMs} ms, allowed are ${requests}`);
}

/** Keeps `connections` clients sending to the workers in turn, each its next request some ms after an answer. */
function flood(world: World, connections: number, pauseMs: () => number): void {
  for (let index = 0; index < connections; index++) {
    const next = (): void => {
      const worker = world.workers[index % world.workers.length];
      if (!worker) return;
      // A request of a worker that dies is never answered; its client goes on after a while.
      let isAnswered = false;
      const goOn = (): void => {
        if (isAnswered) return;
        isAnswered = true;
        world.time.at(world.time.nowMs + pauseMs(), next);
      };
      void world.request(worker).then(goOn);
      world.time.at(world.time.nowMs + 1_000, goOn);
    };
    world.time.at(world.time.nowMs + index * 0.1, next);
  }
}

describe('limits over workers', () => {
  it('passes exactly the limit of 400 requests that 64 connections fire at two workers', async () => {
    const world = new World({ workers: 2, windows: [HUNDRED_PER_TEN_SECONDS] });
    for (let index = 0; index < 400; index++) {
      world.time.at(1_000 + index * 0.05, () => void world.request(world.workers[index % 2] ?? assert.fail()));
    }

    await world.time.runUntil(2_000);

    assert.equal(world.passesOf().length, 100);
    assert.equal(world.refusals.length, 300);
  });

  it('passes the limit also when all load is on one of two workers and the other holds tokens', async () => {
    const world = new World({ workers: 2, windows: [HUNDRED_PER_TEN_SECONDS] });
    const [left, right] = world.workers;
    if (!left || !right) return assert.fail();
    for (let index = 0; index < 10; index++) world.time.at(1_000 + index * 20, () => void world.request(left));
    for (let index = 0; index < 300; index++) world.time.at(1_250 + index, () => void world.request(right));

    await world.time.runUntil(2_000);

    assert.equal(world.passesOf().length, 100);
  });

  it('holds the limit and admits 98 % of it under a flood over several windows', async () => {
    const random = randomFrom(3);
    const world = new World({ workers: 2, windows: [HUNDRED_PER_TEN_SECONDS], latencyMs: () => 0.1 + random() });
    flood(world, 64, () => 2 + random() * 20);

    await world.time.runUntil(61_000);

    assertHolds(world.passesOf(), HUNDRED_PER_TEN_SECONDS);
    assert.ok(world.passesOf().length >= 6 * 98, `${world.passesOf().length}`);
  });

  it('refuses without a message until a token can be free', async () => {
    const world = new World({ workers: 2, windows: [HUNDRED_PER_TEN_SECONDS] });
    flood(world, 64, () => 20);
    await world.time.runUntil(2_000);
    const before = world.messagesUp;

    await world.time.runUntil(10_000);

    assert.ok(world.refusals.length > 10_000);
    assert.ok(world.messagesUp - before < 10, `${world.messagesUp - before} messages`);
  });

  it('holds every window of several', async () => {
    const windows = [
      { requests: 5, windowMs: 1_000 },
      { requests: 40, windowMs: 20_000 },
    ] as const;
    const world = new World({ workers: 3, windows });
    flood(world, 12, () => 7);

    await world.time.runUntil(81_000);

    for (const window of windows) assertHolds(world.passesOf(), window);
    assert.ok(world.passesOf().length >= 4 * 40 * 0.98);
  });

  it('needs far fewer messages than requests for many keys far from their limit', async () => {
    const world = new World({ workers: 2, windows: [{ requests: 6_000, windowMs: 60_000 }] });
    const random = randomFrom(5);
    const keys = 200;
    for (let atMs = 1_000; atMs < 61_000; atMs += 1_000 / keys) {
      const worker = world.workers[random() < 0.5 ? 0 : 1] ?? assert.fail();
      const key = `k${Math.floor(random() * keys)}`;
      world.time.at(atMs, () => void world.request(worker, key));
    }

    await world.time.runUntil(62_000);

    assert.equal(world.refusals.length, 0);
    assert.ok(world.messagesUp < world.asked / 3, `${world.messagesUp} messages for ${world.asked} requests`);
  });

  it('answers a busy key from its lease without a promise', async () => {
    const world = new World({ workers: 2, windows: [{ requests: 100_000, windowMs: 60_000 }] });
    const worker = world.workers[0] ?? assert.fail();
    let sync = 0;
    for (let index = 0; index < 20_000; index++) {
      world.time.at(1_000 + index, () => {
        if (!(worker.limiter.take('k') instanceof Promise)) sync += 1;
      });
    }

    await world.time.runUntil(22_000);

    assert.ok(sync > 19_900, `${sync}`);
    assert.ok(world.messagesUp < 100, `${world.messagesUp}`);
    assert.ok(world.bytesUp < 20_000, `${world.bytesUp} bytes`);
  });
});

describe('limits with failures', () => {
  for (let seed = 1; seed <= 30; seed++) {
    it(`hold in every true window with random arrivals, latency and crashes (${seed})`, async () => {
      const random = randomFrom(seed);
      const windowMs = [1_000, 3_000, 10_000][seed % 3] ?? 1_000;
      const requests = [1, 7, 100, 900, 3_000][seed % 5] ?? 1;
      const slowness = random() * 30;
      const workers = 1 + (seed % 4);
      const latencyMs = (): number => (random() < 0.01 ? 200 * random() : slowness * random());
      const world = new World({ workers, windows: [{ requests, windowMs }], latencyMs });
      const endMs = 1_000 + windowMs * 6;
      const meanMs = (windowMs / requests) * (0.1 + random());
      for (let atMs = 1_000; atMs < endMs; atMs += -Math.log(1 - random()) * meanMs) {
        world.time.at(atMs, () => {
          const worker = world.workers[Math.floor(random() ** 2 * world.workers.length)];
          if (worker) void world.request(worker);
        });
      }
      for (let crash = 0; crash < 4; crash++) {
        world.time.at(1_000 + random() * windowMs * 6, () => {
          const worker = world.workers[Math.floor(random() * world.workers.length)];
          if (worker) world.crash(worker);
        });
      }

      await world.time.runUntil(endMs + 2_000);

      assertHolds(world.passesOf(), { requests, windowMs });
      assert.ok(world.passesOf().length > 0);
    });
  }

  it('gives back what a crashed worker held after its lease and the window', async () => {
    const window = { requests: 40, windowMs: 1_000 };
    const world = new World({ workers: 2, windows: [window] });
    flood(world, 8, () => 5);
    await world.time.runUntil(3_500);
    world.crash(world.workers[0] ?? assert.fail());
    const before = world.passesOf().length;

    await world.time.runUntil(13_500);

    assertHolds(world.passesOf(), window);
    assert.ok(world.passesOf().length - before >= 10 * 40 * 0.98 - 40 - 20, `${world.passesOf().length - before}`);
  });

  it('falls back to an even share after 500 ms without the keeper, and tells it the uses later', async () => {
    const window = { requests: 100, windowMs: 10_000 };
    const world = new World({ workers: 2, windows: [window] });
    world.isKeeperStalled = true;
    const worker = world.workers[0] ?? assert.fail();
    for (let index = 0; index < 80; index++) world.time.at(1_000 + index * 10, () => void world.request(worker));
    await world.time.runUntil(3_000);

    assert.equal(world.passesOf().length, 50);

    world.resumeKeeper();
    await world.time.runUntil(3_100);
    const other = world.workers[1] ?? assert.fail();
    for (let index = 0; index < 100; index++) world.time.at(3_200 + index, () => void world.request(other));
    await world.time.runUntil(4_000);

    assert.equal(world.passesOf().length, 100);
  });

  it('counts on when the windows change, and drops refusals that the old ones gave', async () => {
    const world = new World({ workers: 1, windows: [{ requests: 10, windowMs: 10_000 }] });
    const worker = world.workers[0] ?? assert.fail();
    for (let index = 0; index < 20; index++) world.time.at(1_000 + index, () => void world.request(worker));
    await world.time.runUntil(2_000);
    assert.equal(world.passesOf().length, 10);

    const windows = [{ requests: 15, windowMs: 10_000 }];
    worker.limiter = worker.limits.limiter({ name: 'binding-1', windows, store: 'local' });
    for (let index = 0; index < 20; index++) world.time.at(2_000 + index, () => void world.request(worker));
    await world.time.runUntil(3_000);

    assert.equal(world.passesOf().length, 15);
  });

  it('puts keys beyond the bound on one shared budget', async () => {
    const world = new World({ workers: 2, windows: [{ requests: 1, windowMs: 60_000 }], maxKeys: 50 });
    for (let index = 0; index < 500; index++) {
      const worker = world.workers[index % 2] ?? assert.fail();
      world.time.at(1_000 + index * 5, () => void world.request(worker, `k${index}`));
    }

    await world.time.runUntil(5_000);

    const passes = [...world.passes.values()].flat().length;
    assert.equal(passes, 51);
  });

  it('answers everyone when it closes', async () => {
    const world = new World({ workers: 1, windows: [HUNDRED_PER_TEN_SECONDS] });
    world.isKeeperStalled = true;
    const worker = world.workers[0] ?? assert.fail();
    const verdict = world.request(worker);

    worker.limits.close();

    assert.equal((await verdict)?.isAllowed, true);
  });
});
