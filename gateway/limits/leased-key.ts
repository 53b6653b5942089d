// What a worker knows of one key: the tokens it holds, the uses it has not reported, the requests that wait.
// Must not send or schedule: that is the lease worker.
import type { LimitVerdict, LimitWindow } from '../core/plugin.ts';
import type { LimitsReport } from './messages.ts';
import { KeyLog, tickMsOf } from './sliding-window.ts';

/** Is one limiter in a worker. */
export interface Scope {
  readonly name: string;
  windows: readonly LimitWindow[];
  version: number;
  /** How finely uses are reported; see `reportTickMs`. */
  tickMs: number;
  readonly keys: Map<string, LeasedKey>;
}

/** Is one key in a worker. */
export interface LeasedKey {
  readonly scope: Scope;
  readonly key: string;
  lease: number;
  /** Unused tokens of the lease, dead from `expiresAtMs` on. */
  tokens: number;
  grantedAtMs: number;
  expiresAtMs: number;
  /** Window with the least left, and how much, as the keeper last said, less what was used since. */
  window: number;
  remaining: number;
  /** No token can become free before; the keeper said so. */
  refusedUntilMs: number;
  /** Not reported yet: [atMs, count, atMs, count ...]. */
  uses: number[];
  waiters: ((verdict: LimitVerdict) => void)[];
  /** Tokens to ask for beyond the waiters: follows demand. */
  appetite: number;
  askedAtMs: number;
  /** An ask is on its way; there is one at most. */
  isAsking: boolean;
  /** Has a place in the outbox ... */
  isQueued: boolean;
  /** ... as an ask, not a report alone. */
  wantsMore: boolean;
  /** Has a place where the end of its lease is noticed. */
  isTimed: boolean;
  /** Counts uses while the keeper is out of reach. */
  share: KeyLog | undefined;
}

/** A new key asks for this part of its limit beyond its first request: most callers come again. */
const FIRST_APPETITE_PART = 128;
const MAX_FIRST_APPETITE = 64;

/** Makes a key that knows nothing. */
export function newLeasedKey(scope: Scope, key: string): LeasedKey {
  return {
    scope,
    key,
    lease: 0,
    tokens: 0,
    grantedAtMs: 0,
    expiresAtMs: 0,
    window: 0,
    remaining: 0,
    refusedUntilMs: 0,
    uses: [],
    waiters: [],
    appetite: Math.min(MAX_FIRST_APPETITE, Math.floor(fewestRequests(scope) / FIRST_APPETITE_PART)),
    askedAtMs: 0,
    isAsking: false,
    isQueued: false,
    wantsMore: false,
    isTimed: false,
    share: undefined,
  };
}

function fewestRequests({ windows }: Scope): number {
  return Math.min(...windows.map(({ requests }) => requests));
}

/** Says whether forgetting the key loses nothing. */
export function isForgettable(state: LeasedKey, nowMs: number): boolean {
  const isBusy = state.isAsking || state.isQueued || state.isTimed || state.waiters.length > 0 || state.share;
  return !isBusy && state.uses.length === 0 && nowMs >= state.refusedUntilMs;
}

/**
 * Gives the part of time whose uses are reported as one: the tick in which the keeper counts them, so that a busy key costs a
 * hundred numbers per window and not one per millisecond. The ticks of two windows do not meet, so several need every one.
 */
export function reportTickMs(windows: readonly LimitWindow[]): number {
  const [window, ...others] = windows;
  return window && others.length === 0 ? tickMsOf(window) : 1;
}

/** Uses one token. */
export function spend(state: LeasedKey, nowMs: number): LimitVerdict {
  state.tokens -= 1;
  state.remaining -= 1;
  const { uses, window, scope } = state;
  const atMs = Math.floor(nowMs / scope.tickMs) * scope.tickMs;
  // Most keys have one use between two reports, and a list begun with `push` has room for sixteen more.
  if (uses.length === 0) state.uses = [atMs, 1];
  else if (uses[uses.length - 2] === atMs) uses[uses.length - 1] = (uses[uses.length - 1] ?? 0) + 1;
  else uses.push(atMs, 1);
  const resetMs = scope.windows[window]?.windowMs ?? 0;
  return { isAllowed: true, window, remaining: Math.max(0, state.remaining), resetMs };
}

/** Says that the next lease should be fetched before this one is used up, so that no request waits for it. */
export function isRunningLow(state: LeasedKey): boolean {
  return state.appetite > 0 && !state.isAsking && state.tokens <= state.appetite >> 2;
}

/** Builds the refusal that the keeper's word stands for. */
export function refusalOf(state: LeasedKey, nowMs: number): LimitVerdict {
  return { isAllowed: false, window: state.window, remaining: 0, resetMs: Math.max(0, state.refusedUntilMs - nowMs) };
}

/** Doubles the appetite while a lease lasts less than half its time; the keeper cuts it to what the limit can spare. */
export function adjustAppetite(state: LeasedKey, nowMs: number): void {
  const lastedMs = nowMs - state.grantedAtMs;
  const leaseMs = state.expiresAtMs - state.grantedAtMs;
  if (lastedMs < leaseMs / 2) {
    const most = Math.floor(fewestRequests(state.scope) / 4);
    state.appetite = Math.min(most, Math.max(1, state.appetite * 2));
  } else if (lastedMs > leaseMs) {
    state.appetite >>= 1;
  }
}

/** Takes new tokens in; those of another lease are dead, for the keeper has counted them as used. */
export function acceptTokens(state: LeasedKey, lease: number, tokens: number): void {
  if (lease !== state.lease) {
    state.lease = lease;
    state.tokens = 0;
    state.uses = [];
  }
  state.tokens += tokens;
}

/** Builds a report of the uses, empties their list, and gives the tokens back when asked to. */
export function reportOf(state: LeasedKey, isReturning: boolean): LimitsReport {
  const { scope, key, lease, uses } = state;
  const returned = isReturning ? state.tokens : 0;
  state.tokens -= returned;
  state.uses = [];
  const { name: limiter, windows, version } = scope;
  return { limiter, key, windows, version, waiting: 0, extra: 0, lease, uses, returned };
}

/** Counts the uses that the keeper has not heard of. */
export function unreportedOf({ uses }: LeasedKey): number {
  let sum = 0;
  for (let index = 1; index < uses.length; index += 2) sum += uses[index] ?? 0;
  return sum;
}

/** Makes the log of a worker's even share of the limit, at least 1 per window. */
export function newShare({ scope }: LeasedKey, workers: number): KeyLog {
  const windows = scope.windows.map(({ requests, windowMs }) => ({
    requests: Math.max(1, Math.floor(requests / workers)),
    windowMs,
  }));
  return new KeyLog(windows);
}
