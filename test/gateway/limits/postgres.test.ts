// Limits that all nodes share in a real Postgres, and what happens while it is away.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { LimitVerdict, LimitWindow } from '../../../gateway/core/plugin.ts';
import { createPostgresStore, type StatementPool } from '../../../gateway/limits/shared/postgres.ts';
import type { SharedStore } from '../../../gateway/limits/shared/store.ts';
import { createStatementPool } from '../../../gateway/sources/postgres/statement-pool.ts';
import { fakeClock } from '../../../gateway/testing.ts';
import { createDatabase, silentLog, type TestDatabase } from '../../support/product/database.ts';

const FIVE_PER_MINUTE: readonly LimitWindow[] = [{ requests: 5, windowMs: 60_000 }];

describe('createPostgresStore', () => {
  let database: TestDatabase;
  const stores: SharedStore[] = [];

  before(async () => {
    database = await createDatabase();
  });

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
  });

  after(() => database.drop());

  function open(pool: StatementPool = createStatementPool(database.url, 'limits test')): SharedStore {
    const store = createPostgresStore({ pool, clock: fakeClock(), log: silentLog });
    stores.push(store);
    return store;
  }

  it('lets no more through than the limit when all nodes take at once', async () => {
    const nodes = [open(), open()];
    const name = randomUUID();

    const verdicts = await Promise.all(
      Array.from({ length: 20 }, (_, index) => nodes[index % 2]?.take(name, FIVE_PER_MINUTE, 'k') ?? assert.fail()),
    );

    const remaining = verdicts.filter(({ isAllowed }) => isAllowed).map((verdict) => verdict.remaining);
    assert.deepEqual(remaining.toSorted(), [0, 1, 2, 3, 4]);
    assert.ok(verdicts.every(({ resetMs }) => resetMs > 0 && resetMs <= 60_000));
  });

  it('counts keys and limiters apart, however long the key', async () => {
    const store = open();
    const name = randomUUID();
    const take = (limiter: string, key: string): Promise<LimitVerdict> => store.take(limiter, FIVE_PER_MINUTE, key);

    await take(name, 'k');
    const again = await take(name, 'k');
    const others = [await take(name, 'other'), await take(name, 'k'.repeat(1_000)), await take(randomUUID(), 'k')];

    assert.equal(again.remaining, 3);
    assert.deepEqual(
      others.map(({ remaining }) => remaining),
      [4, 4, 4],
    );
  });

  it('gives back what it took from one window when another refuses', async () => {
    const store = open();
    const name = randomUUID();
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

  it('begins a window anew when the last one is over', async () => {
    const store = open();
    const name = randomUUID();
    const windows = [{ requests: 1, windowMs: 1_000 }];
    await store.take(name, windows, 'k');
    let verdict = await store.take(name, windows, 'k');
    assert.equal(verdict.isAllowed, false);

    while (!verdict.isAllowed) verdict = await store.take(name, windows, 'k');

    assert.equal(verdict.remaining, 0);
  });
});

describe('createPostgresStore without its database', () => {
  it('asks once in a while, fails at once in between, says so once, and is back by itself', async () => {
    const clock = fakeClock();
    const lines: string[] = [];
    const write = (message: string): void => {
      lines.push(message);
    };
    let asked = 0;
    let isAway = true;
    const pool: StatementPool = {
      async query() {
        asked++;
        if (isAway) throw new Error('connection refused');
        return { rows: [{ points: 1, expire: String(Date.now() + 60_000) }] };
      },
      close: async () => {},
    };
    const log = { debug: write, info: write, warn: write, error: write };
    const store = createPostgresStore({ pool, clock, log });
    const take = (): Promise<LimitVerdict> => store.take('n', FIVE_PER_MINUTE, 'k');

    for (let tries = 0; tries < 10; tries++) await assert.rejects(take());
    clock.advance(1_001);
    await assert.rejects(take());
    assert.equal(asked, 2);
    clock.advance(1_001);
    isAway = false;
    const back = await take();
    await store.close();

    assert.equal(back.isAllowed, true);
    assert.deepEqual(lines, ['Postgres does not count: shared limits follow onStoreFailure', 'Postgres counts again']);
  });

  it('rejects soon when nobody listens', async () => {
    const pool = createStatementPool('postgres://nobody@127.0.0.1:1/none', 'limits test');
    const store = createPostgresStore({ pool, clock: fakeClock(), log: silentLog });

    const startedAt = performance.now();
    await assert.rejects(store.take('n', FIVE_PER_MINUTE, 'k'));
    await store.close();

    assert.ok(performance.now() - startedAt < 1_000);
  });
});
