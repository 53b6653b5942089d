// Sends requests to targets over HTTP/1.1: our own, strict in what it takes for a response.
// Must not retry, redirect or decode: one try, bytes as they are.
import type { TargetAddress, UpstreamClient } from '../../core/ports.ts';
import { Deadlines } from '../message/deadlines.ts';
import { Call } from './call.ts';
import { Connection } from './connection.ts';
import { Pool, type PoolLimits } from './pool.ts';

const POOL_LIMITS: PoolLimits = { maxConnections: 512, maxWaiting: 1024 };
/** How often connections that were not needed since the last look are closed. */
const TRIM_MS = 60_000;
const DEADLINE_TICK_MS = 20;

type Pools = Map<string, Pool<Connection>>;

/** Makes a client with one pool of kept-alive connections per address. */
export function createUpstreamClient(): UpstreamClient {
  const pools: Pools = new Map();
  // Spares most requests the making of a key.
  const byAddress = new WeakMap<TargetAddress, Pool<Connection>>();
  const deadlines = new Deadlines(DEADLINE_TICK_MS);
  const trimmer = setInterval(() => trim(pools), TRIM_MS);
  trimmer.unref();
  return {
    send(address, request, handler) {
      let pool = byAddress.get(address);
      if (!pool) {
        pool = findPool(pools, address);
        byAddress.set(address, pool);
      }
      const call = new Call({ request, handler, connectMs: address.connectMs, deadlines });
      if (!pool.borrow(call)) {
        // Not in this turn: the caller does not have the call yet.
        queueMicrotask(() => call.refuse());
      }
      return call;
    },
    async close() {
      clearInterval(trimmer);
      deadlines.close();
      for (const pool of pools.values()) pool.close();
    },
  };
}

function findPool(pools: Pools, address: TargetAddress): Pool<Connection> {
  const { protocol, host, port, connectMs, tls } = address;
  const key = `${protocol} ${host} ${port} ${connectMs}${tls ? ` ${tls.verify} ${tls.serverName ?? ''}` : ''}`;
  const known = pools.get(key);
  if (known) return known;
  const pool: Pool<Connection> = new Pool(() => {
    // A pool that was trimmed away comes back with its first connection.
    pools.set(key, pool);
    return new Connection(address, {
      onIdle: (connection) => pool.giveBack(connection),
      onClosed: (connection) => pool.drop(connection),
    });
  }, POOL_LIMITS);
  return pool;
}

function trim(pools: Pools): void {
  for (const [key, pool] of pools) {
    pool.trim();
    if (pool.isEmpty) pools.delete(key);
  }
}
