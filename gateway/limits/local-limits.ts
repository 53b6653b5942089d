// Limits of a single process: every take is answered at once.
// Must not be used where several processes share a limit; the lease client is for those.
import type { Clock, Limiter, Limits, LimitVerdict } from '../core/plugin.ts';
import { KeyTable, OVERFLOW_KEY } from './key-table.ts';
import { KeyLog } from './sliding-window.ts';

/** Describes `createLocalLimits`. */
export interface LocalLimitsOptions {
  readonly clock: Clock;
  /** Default `MAX_KEYS`. */
  readonly maxKeys?: number;
}

/** Makes limits that live in this process alone: for tests, the plugin kit and modes of one process. */
export function createLocalLimits({ clock, maxKeys }: LocalLimitsOptions): Limits {
  const table = new KeyTable<KeyLog>({ maxKeys, isIdle: (log, nowMs) => log.isEmpty(nowMs) });
  const scopes = new Map<string, Map<string, KeyLog>>();

  function limiter({ name, windows, store }: Parameters<Limits['limiter']>[0]): Limiter {
    if (store !== 'local') throw new Error(`store "${store}" is not available here: only "local" is`);
    const scope = scopes.get(name) ?? table.addScope();
    scopes.set(name, scope);

    function find(key: string, nowMs: number): KeyLog {
      const found = scope.get(key);
      if (found?.windows === windows) return found;
      if (found) {
        const reshaped = found.reshape(windows);
        scope.set(key, reshaped);
        return reshaped;
      }
      const made = new KeyLog(windows);
      return table.insert(scope, key, made, nowMs) ? made : find(OVERFLOW_KEY, nowMs);
    }

    return {
      take(key) {
        const nowMs = clock.monotonicMs();
        return takeFrom(find(key, nowMs), nowMs);
      },
    };
  }

  return { limiter };
}

/** Takes one use from a log and says what came of it. */
export function takeFrom(log: KeyLog, nowMs: number): LimitVerdict {
  const free = log.free(nowMs);
  if (free < 1) {
    const resetMs = log.freeAtMs(0) - nowMs;
    return { isAllowed: false, window: log.tightest, remaining: 0, resetMs };
  }
  log.add(nowMs, 1);
  return {
    isAllowed: true,
    window: log.tightest,
    remaining: free - 1,
    resetMs: log.windows[log.tightest]?.windowMs ?? 0,
  };
}
