// An exact sliding-window limiter in one Map, for tests.
// Must not be used by a node: it keeps a time per request and nothing ever expires a key.
import type { Clock, Limits, LimitVerdict, LimitWindow } from '../core/plugin.ts';

/** Builds limits that count exactly, by `clock`. Every store is the same memory. */
export function fakeLimits(clock: Clock): Limits {
  const takenByKey = new Map<string, number[]>();
  return {
    limiter: ({ name, windows }) => ({
      take(key) {
        const id = JSON.stringify([name, key]);
        const taken = takenByKey.get(id) ?? [];
        takenByKey.set(id, taken);
        const verdict = judge(taken, windows, clock.monotonicMs());
        if (verdict.isAllowed) taken.push(clock.monotonicMs());
        return verdict;
      },
    }),
  };
}

function judge(taken: readonly number[], windows: readonly LimitWindow[], nowMs: number): LimitVerdict {
  const states = windows.map(({ requests, windowMs }, window) => {
    const inside = taken.filter((at) => at > nowMs - windowMs);
    const isAllowed = inside.length < requests;
    // Refused: room comes when the oldest request that still fills the window leaves it.
    const blocking = isAllowed ? nowMs : (inside.at(-requests) ?? nowMs);
    return {
      isAllowed,
      window,
      remaining: Math.max(0, requests - inside.length - 1),
      resetMs: blocking + windowMs - nowMs,
    };
  });
  const refusals = states.filter((state) => !state.isAllowed).sort((a, b) => b.resetMs - a.resetMs);
  const tightest = states.toSorted((a, b) => a.remaining - b.remaining);
  const verdict = refusals[0] ?? tightest[0];
  if (!verdict) throw new TypeError('a limiter needs at least one window');
  return verdict;
}
