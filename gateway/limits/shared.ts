// Counts that all nodes share, in Redis, by rate-limiter-flexible.
// Must run in the keeper alone: one connection per node, and no worker waits on a socket of Redis.
//
// Its windows are fixed: one starts with the first use and ends `windowMs` later. Up to twice the limit can thus pass
// within one window's length across a border. It is the price of one round trip; who needs more exactness limits per node.
import { Redis } from 'ioredis';
import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { LimitVerdict, LimitWindow, Logger } from '../core/plugin.ts';

/** A command that takes longer is a failure: a request waits for it. */
const COMMAND_TIMEOUT_MS = 200;
const CONNECT_TIMEOUT_MS = 2_000;

/** Reconnects between these, with jitter: many nodes must not come back as one. */
const MIN_RETRY_MS = 100;
const MAX_RETRY_MS = 2_000;

/** Limiters at hand; each is a little object that is made again when it is asked for. */
const MAX_LIMITERS = 10_000;

/** Is a store that all nodes share. */
export interface SharedStore {
  /** Takes one use from every window, or from none. Rejects when the store does not answer. */
  take(limiter: string, windows: readonly LimitWindow[], key: string): Promise<LimitVerdict>;
  close(): Promise<void>;
}

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
  const limiters = new Map<string, readonly RateLimiterRedis[]>();

  function find(name: string, windows: readonly LimitWindow[]): readonly RateLimiterRedis[] {
    const id = `${name} ${JSON.stringify(windows)}`;
    const found = limiters.get(id);
    if (found) return found;
    const made = windows.map((window) => buildLimiter(client, name, window));
    if (limiters.size >= MAX_LIMITERS) limiters.clear();
    limiters.set(id, made);
    return made;
  }

  return {
    take: (limiter, windows, key) => takeAll(find(limiter, windows), windows, key),
    async close() {
      client.disconnect();
    },
  };
}

function buildLimiter(storeClient: Redis, name: string, { requests, windowMs }: LimitWindow): RateLimiterRedis {
  return new RateLimiterRedis({
    storeClient,
    // Without the limit in it: a changed limit goes on with the same count.
    keyPrefix: `sallyport:${name}:${windowMs}`,
    points: requests,
    duration: Math.ceil(windowMs / 1_000),
    rejectIfRedisNotReady: true,
  });
}

async function takeAll(
  limiters: readonly RateLimiterRedis[],
  windows: readonly LimitWindow[],
  key: string,
): Promise<LimitVerdict> {
  let tightest: LimitVerdict | undefined;
  for (let window = 0; window < limiters.length; window++) {
    const verdict = await takeOne(limiters[window], key, window);
    if (!verdict.isAllowed) {
      // What was counted in the windows before is given back: a refused request must not use up another limit.
      await Promise.all(limiters.slice(0, window).map((limiter) => limiter.reward(key, 1)));
      return verdict;
    }
    if (!tightest || verdict.remaining < tightest.remaining) tightest = verdict;
  }
  return tightest ?? { isAllowed: true, window: 0, remaining: 0, resetMs: windows[0]?.windowMs ?? 0 };
}

async function takeOne(limiter: RateLimiterRedis | undefined, key: string, window: number): Promise<LimitVerdict> {
  try {
    const result = await limiter?.consume(key, 1);
    return { isAllowed: true, window, remaining: result?.remainingPoints ?? 0, resetMs: result?.msBeforeNext ?? 0 };
  } catch (thrown) {
    // The library rejects with a result when the limit is used up, and with an error when Redis failed.
    if (!(thrown instanceof RateLimiterRes)) throw thrown;
    return { isAllowed: false, window, remaining: 0, resetMs: Math.max(1, thrown.msBeforeNext) };
  }
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
