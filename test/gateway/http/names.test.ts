// Names of targets: one lookup for all who ask, old answers while the resolver fails, connections that follow a move.
import assert from 'node:assert/strict';
import type { LookupAddress } from 'node:dns';
import { createNames, type Names, type Resolve } from '../../../gateway/http/upstream/names.ts';
import { Pool } from '../../../gateway/http/upstream/pool.ts';

describe('names of targets', () => {
  let asked: ((error: Error | null, addresses: readonly LookupAddress[]) => void)[];
  let names: Names;
  let nowMs: number;
  const resolve: Resolve = (_host, callback) => void asked.push(callback);
  const first: LookupAddress = { address: '127.0.0.1', family: 4 };
  const second: LookupAddress = { address: '127.0.0.2', family: 4 };

  beforeEach(() => {
    asked = [];
    nowMs = 0;
    names = createNames({ resolve, monotonicMs: () => nowMs });
  });

  function find(host: string): Promise<unknown> {
    return new Promise((settle, reject) => {
      names.lookup(host, { all: true }, (error, addresses) => (error ? reject(error) : settle(addresses)));
    });
  }

  it('are looked up once for all who ask, and not again while the answer is fresh', async () => {
    const both = Promise.all([find('a.test'), find('a.test')]);
    asked[0]?.(null, [first, second]);

    assert.deepEqual(await both, [
      [first, second],
      [first, second],
    ]);
    assert.deepEqual(await find('a.test'), [first, second]);
    assert.equal(asked.length, 1);
  });

  it('wait for nobody else: a slow name does not hold another', async () => {
    const slow = find('slow.test');
    const quick = find('quick.test');
    asked[1]?.(null, [second]);

    assert.deepEqual(await quick, [second]);
    asked[0]?.(null, [first]);
    assert.deepEqual(await slow, [first]);
  });

  it('keep their old addresses while the resolver fails or knows none', async () => {
    const found = find('a.test');
    asked[0]?.(null, [first]);
    await found;
    nowMs = 10_000;

    const failing = find('a.test');
    asked[1]?.(new Error('SERVFAIL'), []);
    assert.deepEqual(await failing, [first]);
    const empty = find('a.test');
    asked[2]?.(null, []);
    assert.deepEqual(await empty, [first]);
  });

  it('are looked up again on request, but not while fresh, and tell what holds', async () => {
    const told: unknown[] = [];
    const found = find('a.test');
    asked[0]?.(null, [first]);
    await found;

    names.refresh('a.test', (addresses) => told.push(addresses));
    assert.equal(asked.length, 1);
    nowMs = 10_000;
    names.refresh('a.test', (addresses) => told.push(addresses));
    asked[1]?.(null, [second]);

    assert.deepEqual(told, [[second]]);
    assert.deepEqual(await find('a.test'), [second]);
  });

  it('fail when nothing was ever known', async () => {
    const found = find('a.test');
    asked[0]?.(new Error('NXDOMAIN'), []);

    await assert.rejects(found, /NXDOMAIN/);
  });
});

describe('a pool whose addresses have moved', () => {
  class Link {
    isUsable = true;
    isClosed = false;
    retire(): void {
      this.isUsable = false;
    }
    close(): void {
      this.isClosed = true;
    }
  }

  it('closes idle connections and lends none of the old', () => {
    const opened: Link[] = [];
    const used: Link[] = [];
    const pool = new Pool(
      () => {
        const link = new Link();
        opened.push(link);
        return link;
      },
      { maxConnections: 4, maxWaiting: 4 },
    );
    const borrow = (): boolean =>
      pool.borrow({ isOver: false, wantsFresh: false, hasBodyToCome: false, use: (link) => used.push(link) });
    borrow();
    borrow();
    const [idle, busy] = opened;
    assert.ok(idle && busy);
    pool.giveBack(idle);

    pool.retire(() => true);
    borrow();

    assert.deepEqual([idle.isClosed, busy.isClosed, busy.isUsable], [true, false, false]);
    assert.equal(used[2], opened[2]);
  });
});
