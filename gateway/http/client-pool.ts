// Kept-alive connections to one target: a bound, a bounded queue, last used first.
// Must not know HTTP: it lends connections.
import type { Client } from 'undici';

/** Bounds of a pool. */
export interface PoolLimits {
  readonly maxConnections: number;
  /** Requests that may wait for a connection; more would only grow old. */
  readonly maxWaiting: number;
}

/** Lends one connection at a time to each borrower. */
export class ClientPool {
  readonly #open: () => Client;
  readonly #limits: PoolLimits;
  readonly #idle: Client[] = [];
  readonly #all = new Set<Client>();
  #waiting: ((client: Client) => void)[] = [];
  #fewestIdle = 0;

  constructor(open: () => Client, limits: PoolLimits) {
    this.#open = open;
    this.#limits = limits;
  }

  /** Says whether no connection is left. */
  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  /** Calls `use` with a connection, now or when one is free. Gives false when too many wait already. */
  borrow(use: (client: Client) => void): boolean {
    // The last one used is the warmest, and the others get their chance to grow old and close.
    const idle = this.#idle.pop();
    if (idle) {
      this.#fewestIdle = Math.min(this.#fewestIdle, this.#idle.length);
      use(idle);
      return true;
    }
    if (this.#all.size < this.#limits.maxConnections) {
      const client = this.#open();
      this.#all.add(client);
      use(client);
      return true;
    }
    if (this.#waiting.length >= this.#limits.maxWaiting) return false;
    this.#waiting.push(use);
    return true;
  }

  /** Takes a connection back, and lends it to whoever waits longest. */
  giveBack(client: Client): void {
    const next = this.#waiting.shift();
    if (next) next(client);
    else this.#idle.push(client);
  }

  /** Closes connections that nobody needed since the last call. */
  trim(): void {
    for (const client of this.#idle.splice(0, this.#fewestIdle)) this.#drop(client);
    this.#fewestIdle = this.#idle.length;
  }

  /** Closes every connection now. */
  async close(): Promise<void> {
    this.#waiting = [];
    await Promise.all([...this.#all].map((client) => client.destroy()));
  }

  #drop(client: Client): void {
    this.#all.delete(client);
    client.close().catch(() => undefined);
  }
}
