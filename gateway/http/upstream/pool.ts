// Kept-alive connections to one target: a bound, a bounded queue, last used first.
// Must not know HTTP: it lends connections.

/** Bounds of a pool. */
export interface PoolLimits {
  readonly maxConnections: number;
  /** Requests that may wait for a connection; more would only grow old. */
  readonly maxWaiting: number;
}

/** Is what is pooled. */
export interface Pooled {
  /** Says that it may carry another request: not closed, and not idle for longer than its peer keeps it. */
  readonly isUsable: boolean;
  /** Makes it unusable for further requests. */
  retire(): void;
  close(): void;
}

/** Waits for a connection. */
export interface Borrower<Connection> {
  /** Gave up meanwhile. */
  readonly isOver: boolean;
  /** Wants a connection that carried nothing yet: one that idled was closed under it before. */
  readonly wantsFresh: boolean;
  use(connection: Connection): void;
}

/** Lends one connection at a time to each borrower. */
export class Pool<Connection extends Pooled> {
  readonly #open: () => Connection;
  readonly #limits: PoolLimits;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  readonly #waiting: Borrower<Connection>[] = [];
  #fewestIdle = 0;
  /** Idle connections are about to be lent to those who wait. */
  #isServing = false;

  constructor(open: () => Connection, limits: PoolLimits) {
    this.#open = open;
    this.#limits = limits;
  }

  /** Says whether no connection is left. */
  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** Lends a connection, now or when one is free. Gives false when too many wait already. */
  borrow(borrower: Borrower<Connection>): boolean {
    if (borrower.wantsFresh) this.#makeRoom();
    else if (this.#waiting.length === 0 && this.#lendIdle(borrower)) return true;
    if (this.#all.size < this.#limits.maxConnections) {
      this.#lendNew(borrower);
      return true;
    }
    if (this.#waiting.length >= this.#limits.maxWaiting && !this.#forgetGone()) return false;
    this.#waiting.push(borrower);
    return true;
  }

  /** Takes a connection back that may carry another request; whoever waits longest gets it. */
  giveBack(connection: Connection): void {
    this.#idle.push(connection);
    if (this.#waiting.length === 0 || this.#isServing) return;
    this.#isServing = true;
    // Not in this turn: more bytes may stand behind the response, and would be taken for the answer to the next request.
    setImmediate(() => {
      this.#isServing = false;
      this.#serve();
    });
  }

  /** Forgets a connection that has closed; whoever waits gets a new one in its place. */
  drop(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    const next = this.#nextWaiting();
    if (next) this.#lendNew(next);
  }

  /** Uses those connections no further: idle ones are closed now, others after what they carry. */
  retire(isUnwanted: (connection: Connection) => boolean): void {
    for (const connection of [...this.#all]) if (isUnwanted(connection)) connection.retire();
    for (const connection of this.#idle.filter((idle) => !idle.isUsable)) connection.close();
  }

  /** Closes connections that nobody needed since the last call. */
  trim(): void {
    for (const connection of this.#idle.splice(0, this.#fewestIdle)) connection.close();
    this.#fewestIdle = this.#idle.length;
  }

  /** Closes every connection now. */
  close(): void {
    this.#waiting.length = 0;
    for (const connection of [...this.#all]) connection.close();
  }

  #serve(): void {
    while (this.#idle.length > 0) {
      const next = this.#nextWaiting();
      if (!next) return;
      if (this.#lendIdle(next)) continue;
      // Every idle one was too old, and in its place another may have got a new one already.
      if (this.#all.size < this.#limits.maxConnections) this.#lendNew(next);
      else this.#waiting.unshift(next);
    }
  }

  /** Makes room among those who wait; gives false when none of them has given up. */
  #forgetGone(): boolean {
    const left = this.#waiting.filter(({ isOver }) => !isOver);
    if (left.length === this.#waiting.length) return false;
    this.#waiting.splice(0, this.#waiting.length, ...left);
    return true;
  }

  #lendIdle(borrower: Borrower<Connection>): boolean {
    // The last one used is the warmest, and the others get their chance to grow old and close.
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      this.#fewestIdle = Math.min(this.#fewestIdle, this.#idle.length);
      if (idle.isUsable) {
        borrower.use(idle);
        return true;
      }
      idle.close();
    }
    return false;
  }

  #makeRoom(): void {
    if (this.#all.size >= this.#limits.maxConnections) this.#idle[0]?.close();
  }

  #lendNew(borrower: Borrower<Connection>): void {
    const connection = this.#open();
    this.#all.add(connection);
    borrower.use(connection);
  }

  #nextWaiting(): Borrower<Connection> | undefined {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) if (!next.isOver) return next;
    return undefined;
  }
}
