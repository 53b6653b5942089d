// Sends requests to targets: over HTTP/1.1 by our own client, strict in what it takes for a response, over HTTP/2 by h2/.
// Must not retry, redirect or decode: one try, bytes as they are.
import { isIP } from 'node:net';
import type { TargetAddress, UpstreamClient } from '../../core/ports.ts';
import { Deadlines } from '../message/deadlines.ts';
import { Call } from './call.ts';
import { Connection } from './connection.ts';
import { SessionPool } from './h2/session-pool.ts';
import { StreamCall } from './h2/stream-call.ts';
import { createNames, FRESH_MS, type Names } from './names.ts';
import { Pool, type PoolLimits } from './pool.ts';

const POOL_LIMITS: PoolLimits = { maxConnections: 512, maxSending: 384, maxWaiting: 1024 };
/** How often connections that were not needed since the last look are closed. */
const TRIM_MS = 60_000;
const DEADLINE_TICK_MS = 20;

type AnyPool = Pool<Connection> | SessionPool;

interface NamedPool {
  readonly pool: AnyPool;
  /** Name that is looked up again and again; undefined = an address. */
  readonly host: string | undefined;
}

type Pools = Map<string, NamedPool>;

/** Is how many connections to targets are open, by what is spoken over them. */
export type UpstreamConnections = Readonly<Record<'http/1.1' | 'h2', { readonly used: number; readonly idle: number }>>;

/** Is a client that can say what is open. */
export interface HttpUpstreamClient extends UpstreamClient {
  /** Counts by looking at each pool: for those who ask now and then. */
  countConnections(): UpstreamConnections;
}

/** Makes a client with one pool of kept-alive connections per address. */
export function createUpstreamClient(): HttpUpstreamClient {
  const pools: Pools = new Map();
  const names = createNames();
  // Spares most requests the making of a key.
  const byAddress = new WeakMap<TargetAddress, AnyPool>();
  const deadlines = new Deadlines(DEADLINE_TICK_MS);
  const trimmer = setInterval(() => trim(pools), TRIM_MS);
  trimmer.unref();
  const watcher = setInterval(() => followNames(pools, names), FRESH_MS);
  watcher.unref();
  return {
    send(address, request, handler) {
      let pool = byAddress.get(address);
      if (!pool) {
        pool = findPool({ pools, names, deadlines }, address);
        byAddress.set(address, pool);
      }
      if (pool instanceof SessionPool) {
        const call = new StreamCall({ address, request, handler, pool, deadlines });
        if (!pool.board(call)) refuseSoon(call);
        return call;
      }
      const call = new Call({ request, handler, connectMs: address.connectMs, deadlines });
      if (!pool.borrow(call)) refuseSoon(call);
      return call;
    },
    countConnections: () => countConnections(pools),
    async close() {
      clearInterval(trimmer);
      clearInterval(watcher);
      deadlines.close();
      for (const { pool } of pools.values()) pool.close();
    },
  };
}

/** Not in this turn: the caller does not have the call yet. */
function refuseSoon(call: Call | StreamCall): void {
  queueMicrotask(() => call.refuse());
}

interface Shared {
  readonly pools: Pools;
  readonly names: Names;
  readonly deadlines: Deadlines;
}

function findPool(shared: Shared, address: TargetAddress): AnyPool {
  const { protocol, host, port, connectMs, tls } = address;
  const key = `${protocol} ${host} ${port} ${connectMs} ${tls?.id ?? ''}`;
  const known = shared.pools.get(key);
  if (known) return known.pool;
  const pool = protocol === 'h2' || protocol === 'h2c' ? newSessionPool() : newPool();
  // A pool that was trimmed away comes back with its first connection.
  function keep(): void {
    shared.pools.set(key, { pool, host: isIP(host) === 0 ? host : undefined });
  }
  function newSessionPool(): SessionPool {
    return new SessionPool(address, shared.names.lookup, shared.deadlines, keep);
  }
  function newPool(): Pool<Connection> {
    const made: Pool<Connection> = new Pool(() => {
      keep();
      return new Connection(address, shared.names.lookup, {
        onIdle: (connection) => made.giveBack(connection),
        onSent: (connection) => made.sent(connection),
        // Tunnels stay for hours, and as many as clients like: requests must not wait for them.
        onHanded: (connection) => made.hand(connection),
        onClosed: (connection) => made.drop(connection),
      });
    }, POOL_LIMITS);
    return made;
  }
  return pool;
}

/** Leaves addresses that a name no longer has: a connection that is kept alive would hold on to them for ever. */
function followNames(pools: Pools, names: Names): void {
  for (const { pool, host } of pools.values()) {
    if (host === undefined || pool.isEmpty) continue;
    names.refresh(host, (addresses) => {
      pool.retire(({ remoteAddress }) => !addresses.some(({ address }) => address === remoteAddress));
    });
  }
}

function countConnections(pools: Pools): UpstreamConnections {
  const counts = { 'http/1.1': { used: 0, idle: 0 }, h2: { used: 0, idle: 0 } };
  for (const { pool } of pools.values()) {
    const count = counts[pool instanceof SessionPool ? 'h2' : 'http/1.1'];
    count.idle += pool.idle;
    count.used += pool.size - pool.idle;
  }
  return counts;
}

function trim(pools: Pools): void {
  for (const [key, { pool }] of pools) {
    pool.trim();
    if (pool.isEmpty) pools.delete(key);
  }
}
