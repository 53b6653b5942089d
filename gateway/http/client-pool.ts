// Kept-alive connections to one target: a bound, a bounded queue, last used first.
// Must not know HTTP: it lends connections.
import type { Client } from 'undici';

/** Bounds of a pool. */
export interface PoolLimits {
  readonly maxConnections: number;
  /** Requests that may wait for a connection; more would only grow old. */
  readonly maxWaiting: number;
}

/** Is one connection of a pool, open or not yet. */
export interface PooledClient {
  readonly client: Client;
  /** Says whether the connection that is open now has carried a request: its target may close it at any moment. */
  isUsed: boolean;
}

/** Takes a connection. */
export type Borrower = (pooled: PooledClient) => void;

/** Lends one connection at a time to each borrower. */
export class ClientPool {
  readonly #open: () => Client;
  readonly #limits: PoolLimits;
  readonly #idle: PooledClient[] = [];
  readonly #all = new Set<PooledClient>();
  readonly #waiting = new Set<Borrower>();
  #fewestIdle = 0;

  constructor(open: () => Client, limits: PoolLimits) {
    this.#open = open;
    this.#limits = limits;
  }

  /** Says whether no connection is left. */
  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /**
   * Calls `use` with a connection, now or when one is free; `isFresh` asks for one that carried nothing yet. Gives false
   * when too many wait already.
   */
  borrow(use: Borrower, isFresh: boolean): boolean {
    const idle = isFresh ? this.#takeUnused() : this.#idle.pop();
    if (idle) {
      this.#fewestIdle = Math.min(this.#fewestIdle, this.#idle.length);
      use(idle);
      return true;
    }
    if (this.#all.size < this.#limits.maxConnections) {
      use(this.#add());
      return true;
    }
    if (this.#waiting.size >= this.#limits.maxWaiting) return false;
    this.#waiting.add(use);
    return true;
  }

  /** Takes a borrower that waits out of the queue. */
  cancel(use: Borrower): void {
    this.#waiting.delete(use);
  }

  /** Takes a connection back, and lends it to whoever waits longest. */
  giveBack(pooled: PooledClient): void {
    const [next] = this.#waiting;
    if (next) {
      this.#waiting.delete(next);
      next(pooled);
    }
    // The last one used is the warmest, and the others get their chance to grow old and close.
    else this.#idle.push(pooled);
  }

  /** Closes connections that nobody needed since the last call. */
  trim(): void {
    for (const pooled of this.#idle.splice(0, this.#fewestIdle)) this.#drop(pooled);
    this.#fewestIdle = this.#idle.length;
  }

  /** Closes every connection now. */
  async close(): Promise<void> {
    this.#waiting.clear();
    await Promise.all([...this.#all].map(({ client }) => client.destroy()));
  }

  #add(): PooledClient {
    const pooled: PooledClient = { client: this.#open(), isUsed: false };
    pooled.client.on('disconnect', () => {
      pooled.isUsed = false;
    });
    this.#all.add(pooled);
    return pooled;
  }

  /** Gives an idle one whose connection is not open, else makes room for a new one. */
  #takeUnused(): PooledClient | undefined {
    const at = this.#idle.findLastIndex(({ isUsed }) => !isUsed);
    if (at !== -1) return this.#idle.splice(at, 1)[0];
    if (this.#all.size >= this.#limits.maxConnections) {
      const oldest = this.#idle.shift();
      if (oldest) this.#drop(oldest);
    }
    return undefined;
  }

  #drop(pooled: PooledClient): void {
    this.#all.delete(pooled);
    pooled.client.close().catch(() => undefined);
  }
}
