// Counts that all nodes share, in Redis.
// Must run in the keeper alone: one connection per node, and no worker waits on a socket of Redis.
import { Redis } from 'ioredis';
import { RateLimiterRedis } from 'rate-limiter-flexible';
import type { Logger } from '../../core/plugin.ts';
import { createSharedStore, describeLimiter, type SharedStore } from './store.ts';

/** A command that takes longer is a failure: a request waits for it. */
const COMMAND_TIMEOUT_MS = 200;
const CONNECT_TIMEOUT_MS = 2_000;

/** Reconnects between these, with jitter: many nodes must not come back as one. */
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

/** Describes `createRedisStore`. */
export interface RedisStoreOptions {
  /** redis://, rediss://, or the path of a socket. Never logged: it may hold a password. */
  readonly url: string;
  readonly log: Logger;
  readonly random: () => number;
}

/** Connects to Redis in the background: takes reject until it is there, and while it is away. */
export function createRedisStore({ url, log, random }: RedisStoreOptions): SharedStore {
  const client = new Redis(url, {
    // Else commands wait for a Redis that is away, and are sent again, late, when it is back.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    enableAutoPipelining: true,
    retryStrategy: (times) => Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** times) * (0.5 + random() / 2),
  });
  logOutages(client, log);
  return createSharedStore(
    (name, window) =>
      new RateLimiterRedis({ ...describeLimiter(name, window), storeClient: client, rejectIfRedisNotReady: true }),
    async () => client.disconnect(),
  );
}

/** Says once that Redis is away and once that it is back, not for every try. */
function logOutages(client: Redis, log: Logger): void {
  let isAway = false;
  const noteAway = (error?: NodeJS.ErrnoException): void => {
    // `end` is our own farewell.
    if (isAway || client.status === 'end') return;
    isAway = true;
    log.error('Redis is out of reach: shared limits follow onStoreFailure', { code: error?.code });
  };
  client.on('error', noteAway);
  client.on('close', () => noteAway());
  client.on('ready', () => {
    if (isAway) log.info('Redis is back');
    isAway = false;
  });
}
