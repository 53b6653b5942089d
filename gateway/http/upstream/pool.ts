// Kept-alive connections to one target: a bound, a bounded queue, last used first.
// Must not know HTTP: it lends connections.

/** Bounds of a pool. */
export interface PoolLimits {
  readonly maxConnections: number;
  /**
   * Connections that may carry requests whose bodies are still on their way. Clients decide how long that takes, and slow
   * ones must not hold all there are. Absent = all.
   */
  readonly maxSending?: number;
  /** Requests that may wait for a connection, and as many again whose bodies are to come; more would only grow old. */
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
  /** Will wait for a client while it uses the connection, until `sent` is called for it. */
  readonly hasBodyToCome: boolean;
  use(connection: Connection): void;
}

/** Lends one connection at a time to each borrower. */
export class Pool<Connection extends Pooled> {
  readonly #open: () => Connection;
  readonly #limits: PoolLimits;
  readonly #idle: Connection[] = [];
  readonly #all = new Set<Connection>();
  /** Carry what is still on its way from a client. */
  readonly #sending = new Set<Connection>();
  /** Given away for good: they count no more toward the bound. */
  readonly #handed = new Set<Connection>();
  readonly #waiting: Borrower<Connection>[] = [];
  /** Wait until fewer are sending; whoever has no body to come passes them. */
  readonly #waitingToSend: Borrower<Connection>[] = [];
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

  get size(): number {
    return this.#all.size;
  }

  /** Connections that carry nothing. */
  get idle(): number {
    return this.#idle.length;
  }

  /** Lends a connection, now or when one is free. Gives false when too many wait already. */
  borrow(borrower: Borrower<Connection>): boolean {
    if (borrower.hasBodyToCome && !this.#mayMoreSend) return this.#queue(borrower, this.#waitingToSend);
    if (borrower.wantsFresh) this.#makeRoom();
    else if (this.#waiting.length === 0 && this.#lendIdle(borrower)) return true;
    if (this.#hasRoom) {
      this.#lendNew(borrower);
      return true;
    }
    return this.#queue(borrower, this.#waiting);
  }

  /** Hears that what a connection carries has come whole from its client. */
  sent(connection: Connection): void {
    if (this.#sending.delete(connection) && this.#waitingToSend.length > 0) this.#serveSoon();
  }

  /** Takes a connection back that may carry another request; whoever waits longest gets it. */
  giveBack(connection: Connection): void {
    this.#idle.push(connection);
    // Not in this turn: more bytes may stand behind the response, and would be taken for the answer to the next request.
    if (this.#waiting.length > 0 || this.#waitingToSend.length > 0) this.#serveSoon();
  }

  /** Forgets a connection that has closed; whoever waits gets a new one in its place. */
  drop(connection: Connection): void {
    if (!this.#all.delete(connection) || this.#handed.delete(connection)) return;
    this.#sending.delete(connection);
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    const next = this.#nextWaiting();
    if (next) this.#lendNew(next);
  }

  /** Hears that a connection carries something else than requests until it closes; whoever waits gets a new one. */
  hand(connection: Connection): void {
    this.#sending.delete(connection);
    this.#handed.add(connection);
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
    this.#waitingToSend.length = 0;
    for (const connection of [...this.#all]) connection.close();
  }

  get #mayMoreSend(): boolean {
    return this.#sending.size < (this.#limits.maxSending ?? this.#limits.maxConnections);
  }

  get #hasRoom(): boolean {
    return this.#all.size - this.#handed.size < this.#limits.maxConnections;
  }

  #serveSoon(): void {
    if (this.#isServing) return;
    this.#isServing = true;
    setImmediate(() => {
      this.#isServing = false;
      this.#serve();
    });
  }

  #serve(): void {
    while (this.#idle.length > 0 || this.#hasRoom) {
      const next = this.#nextWaiting();
      if (!next) return;
      if (this.#lendIdle(next)) continue;
      // Every idle one was too old, and in its place another may have got a new one already.
      if (this.#hasRoom) this.#lendNew(next);
      else this.#waiting.unshift(next);
    }
  }

  #queue(borrower: Borrower<Connection>, waiting: Borrower<Connection>[]): boolean {
    if (waiting.length >= this.#limits.maxWaiting && !forgetGone(waiting)) return false;
    waiting.push(borrower);
    return true;
  }

  #lendIdle(borrower: Borrower<Connection>): boolean {
    // The last one used is the warmest, and the others get their chance to grow old and close.
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      this.#fewestIdle = Math.min(this.#fewestIdle, this.#idle.length);
      if (idle.isUsable) {
        this.#lend(idle, borrower);
        return true;
      }
      idle.close();
    }
    return false;
  }

  #makeRoom(): void {
    if (!this.#hasRoom) this.#idle[0]?.close();
  }

  #lendNew(borrower: Borrower<Connection>): void {
    const connection = this.#open();
    this.#all.add(connection);
    this.#lend(connection, borrower);
  }

  #lend(connection: Connection, borrower: Borrower<Connection>): void {
    if (borrower.hasBodyToCome) this.#sending.add(connection);
    borrower.use(connection);
  }

  #nextWaiting(): Borrower<Connection> | undefined {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      if (next.isOver) continue;
      if (!next.hasBodyToCome || this.#mayMoreSend) return next;
      this.#waitingToSend.push(next);
    }
    if (!this.#mayMoreSend) return undefined;
    for (let next = this.#waitingToSend.shift(); next; next = this.#waitingToSend.shift())
      if (!next.isOver) return next;
    return undefined;
  }
}

/** Makes room among those who wait; gives false when none of them has given up. */
export function forgetGone<One extends { readonly isOver: boolean }>(waiting: One[]): boolean {
  const left = waiting.filter(({ isOver }) => !isOver);
  if (left.length === waiting.length) return false;
  waiting.splice(0, waiting.length, ...left);
  return true;
}
