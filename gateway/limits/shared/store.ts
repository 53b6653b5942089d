// Limits whose counts all nodes share, by rate-limiter-flexible: what its stores have in common.
// Must not know where the counts are.
//
// Windows are fixed: one starts with the first use and ends `windowMs` later. Up to twice the limit can thus pass
// within one window's length across a border. It is the price of one round trip; who needs more exactness limits per node.
import { type RateLimiterAbstract, RateLimiterRes } from 'rate-limiter-flexible';
import type { LimitVerdict, LimitWindow } from '../../core/plugin.ts';
import type { SharedStoreName } from '../messages.ts';

/** Limiters at hand; each is a little object that is made again when it is asked for. */
const MAX_LIMITERS = 10_000;

/** Is a store that all nodes share. */
export interface SharedStore {
  /** Takes one use from every window, or from none. Rejects when the store does not answer. */
  take(limiter: string, windows: readonly LimitWindow[], key: string): Promise<LimitVerdict>;
  close(): Promise<void>;
}

/** Is the stores that a node has. */
export type SharedStores = { readonly [Name in SharedStoreName]?: SharedStore | undefined };

/** Makes a store of limiters for one window each. */
export function createSharedStore(
  build: (name: string, window: LimitWindow) => RateLimiterAbstract,
  close: () => Promise<void>,
): SharedStore {
  const limiters = new Map<string, readonly RateLimiterAbstract[]>();

  function find(name: string, windows: readonly LimitWindow[]): readonly RateLimiterAbstract[] {
    const id = `${name} ${JSON.stringify(windows)}`;
    const found = limiters.get(id);
    if (found) return found;
    const made = windows.map((window) => build(name, window));
    if (limiters.size >= MAX_LIMITERS) limiters.clear();
    limiters.set(id, made);
    return made;
  }

  return { take: (limiter, windows, key) => takeAll(find(limiter, windows), windows, key), close };
}

/** Gives what every store needs to know of one window. */
export function describeLimiter(
  name: string,
  { requests, windowMs }: LimitWindow,
): { readonly keyPrefix: string; readonly points: number; readonly duration: number } {
  // Without the limit in the key: a changed limit goes on with the same count.
  return { keyPrefix: `sallyport:${name}:${windowMs}`, points: requests, duration: Math.ceil(windowMs / 1_000) };
}

async function takeAll(
  limiters: readonly RateLimiterAbstract[],
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

async function takeOne(limiter: RateLimiterAbstract | undefined, key: string, window: number): Promise<LimitVerdict> {
  try {
    const result = await limiter?.consume(key, 1);
    return { isAllowed: true, window, remaining: result?.remainingPoints ?? 0, resetMs: result?.msBeforeNext ?? 0 };
  } catch (thrown) {
    // The library rejects with a result when the limit is used up, and with an error when its store failed.
    if (!(thrown instanceof RateLimiterRes)) throw thrown;
    return { isAllowed: false, window, remaining: 0, resetMs: Math.max(1, thrown.msBeforeNext) };
  }
}
