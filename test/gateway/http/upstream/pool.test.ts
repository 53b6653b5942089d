// Lending of connections: bounds, turns, and who is not served.
// Must not open sockets: upstream-client.test.ts does.
import assert from 'node:assert/strict';
import { type Borrower, Pool, type Pooled } from '../../../../gateway/http/upstream/pool.ts';

class FakeConnection implements Pooled {
  isUsable = true;
  isClosed = false;
  readonly #onClosed: (one: FakeConnection) => void;

  constructor(onClosed: (one: FakeConnection) => void) {
    this.#onClosed = onClosed;
  }

  retire(): void {
    this.isUsable = false;
  }

  close(): void {
    this.isClosed = true;
    this.#onClosed(this);
  }
}

class FakeBorrower implements Borrower<FakeConnection> {
  isOver = false;
  readonly wantsFresh: boolean;
  readonly hasBodyToCome: boolean;
  used: FakeConnection | undefined;

  constructor(options: { readonly wantsFresh?: boolean; readonly hasBodyToCome?: boolean } = {}) {
    this.wantsFresh = options.wantsFresh ?? false;
    this.hasBodyToCome = options.hasBodyToCome ?? false;
  }

  use(connection: FakeConnection): void {
    this.used = connection;
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a pool', () => {
  let opened: FakeConnection[];
  let pool: Pool<FakeConnection>;

  beforeEach(() => {
    opened = [];
    pool = new Pool(
      () => {
        const one = new FakeConnection((closed) => pool.drop(closed));
        opened.push(one);
        return one;
      },
      { maxConnections: 2, maxWaiting: 2 },
    );
  });

  function borrow(borrower: FakeBorrower = new FakeBorrower()): FakeBorrower | undefined {
    return pool.borrow(borrower) ? borrower : undefined;
  }

  it('opens no more than it may, lets so many wait, and refuses the rest', () => {
    const all = [borrow(), borrow(), borrow(), borrow(), borrow()];

    assert.deepEqual(
      all.map((one) => (one ? one.used !== undefined : 'refused')),
      [true, true, false, false, 'refused'],
    );
    assert.equal(opened.length, 2);
  });

  it('lends the last one used first', () => {
    const [a, b] = [borrow(), borrow()];
    assert.ok(a?.used && b?.used);

    pool.giveBack(a.used);
    pool.giveBack(b.used);

    assert.equal(borrow()?.used, b.used);
    assert.equal(borrow()?.used, a.used);
  });

  it('lends to whoever waits longest, but not in the turn in which it was given back', async () => {
    const [a] = [borrow(), borrow()];
    const [first, second] = [borrow(), borrow()];
    assert.ok(a?.used);

    pool.giveBack(a.used);
    assert.equal(first?.used, undefined);
    await nextTurn();

    assert.equal(first?.used, a.used);
    assert.equal(second?.used, undefined);
  });

  it('opens a new one for whoever waits when the one given back closed meanwhile', async () => {
    const [a] = [borrow(), borrow()];
    const waiting = borrow();
    assert.ok(a?.used);

    pool.giveBack(a.used);
    a.used.close();
    await nextTurn();

    assert.ok(waiting?.used && !waiting.used.isClosed);
    assert.equal(opened.length, 3);
  });

  it('stays within its bound when those given back have grown too old', async () => {
    const [a, b] = [borrow(), borrow()];
    const [first, second] = [borrow(), borrow()];
    assert.ok(a?.used && b?.used);

    for (const one of [a.used, b.used]) {
      one.isUsable = false;
      pool.giveBack(one);
    }
    await nextTurn();

    assert.ok(first?.used && second?.used);
    assert.equal(opened.filter(({ isClosed }) => !isClosed).length, 2);
  });

  it('does not let those who gave up keep others from waiting', () => {
    const [, , third] = [borrow(), borrow(), borrow(), borrow()];
    assert.ok(third);
    third.isOver = true;

    assert.ok(borrow());
    assert.equal(borrow(), undefined);
  });

  it('gives a fresh one to who wants it, and closes an idle one for it', () => {
    const [a, b] = [borrow(), borrow()];
    assert.ok(a?.used && b?.used);
    pool.giveBack(a.used);

    const fresh = borrow(new FakeBorrower({ wantsFresh: true }));

    assert.equal(a.used.isClosed, true);
    assert.equal(fresh?.used, opened[2]);
  });

  describe('with bodies that are still on their way', () => {
    beforeEach(() => {
      pool = new Pool(
        () => {
          const one = new FakeConnection((closed) => pool.drop(closed));
          opened.push(one);
          return one;
        },
        { maxConnections: 3, maxSending: 2, maxWaiting: 3 },
      );
    });

    function send(): FakeBorrower | undefined {
      return borrow(new FakeBorrower({ hasBodyToCome: true }));
    }

    it('keeps connections for requests that wait for nobody', () => {
      const senders = [send(), send(), send(), send(), send(), send()];

      assert.deepEqual(
        senders.map((one) => (one ? one.used !== undefined : 'refused')),
        [true, true, false, false, false, 'refused'],
      );
      assert.ok(borrow()?.used);
    });

    it('lends to the next sender when a body has come whole, also before its answer', async () => {
      const [first, , third] = [send(), send(), send()];
      assert.ok(first?.used);

      pool.sent(first.used);
      await nextTurn();

      assert.ok(third?.used);
      assert.notEqual(third.used, first.used);
    });

    it('lends to the next sender when one breaks off', () => {
      const [first, , third] = [send(), send(), send()];
      assert.ok(first?.used);

      first.used.close();

      assert.ok(third?.used);
    });

    it('passes over a sender that waited for a connection when too many send by now', async () => {
      const [one, other] = [borrow(), borrow(), send()];
      const [second, third, plain] = [send(), send(), borrow()];
      assert.ok(one?.used && other?.used);

      pool.giveBack(one.used);
      pool.giveBack(other.used);
      await nextTurn();

      assert.deepEqual([second?.used !== undefined, third?.used, plain?.used !== undefined], [true, undefined, true]);
    });
  });
});
