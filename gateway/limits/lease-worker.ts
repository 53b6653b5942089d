// A worker's side of the limits: answers at once from leased tokens or a known refusal, else asks the node's keeper.
// Must not decide how much a key may use: that is the keeper's alone, but for the time it is out of reach.
import type { Limiter, Limits, LimitVerdict, LimitWindow, MaybePromise } from '../core/plugin.ts';
import { KeyTable, OVERFLOW_KEY } from './key-table.ts';
import {
  acceptTokens,
  adjustAppetite,
  isForgettable,
  isRunningLow,
  type LeasedKey,
  newLeasedKey,
  newShare,
  refusalOf,
  reportOf,
  reportTickMs,
  type Scope,
  spend,
  unreportedOf,
} from './leased-key.ts';
import { takeFrom } from './local-limits.ts';
import type { LimitsKeeperMessage, LimitsOrder, LimitsReport } from './messages.ts';
import type { LimitsOptions, WorkerLimits } from './options.ts';
import { SCHEDULER, type Scheduler } from './scheduler.ts';
import { TimeSlots } from './time-slots.ts';

/** How long a request waits for the keeper before the worker goes on by its own share. */
const KEEPER_TIMEOUT_MS = 500;

/** Reports and asks that nobody waits for are gathered this long, so that many keys share a message. */
const GATHER_MS = 25;

/** Answers for limits whose counts live in this node. `createLimits` joins it with those that all nodes share. */
export class LeaseWorker implements WorkerLimits {
  readonly #options: LimitsOptions;
  readonly #scheduler: Scheduler;
  readonly #table: KeyTable<LeasedKey>;
  readonly #scopes = new Map<string, Scope>();
  #outbox: LeasedKey[] = [];
  /** Reports that are made already and go first. */
  #answers: LimitsReport[] = [];
  /** Keys whose ask is on its way, the oldest first. */
  readonly #asking = new Set<LeasedKey>();
  readonly #leases = new TimeSlots<LeasedKey>();
  readonly #sharing = new Set<LeasedKey>();
  #isKeeperLost = false;
  #probeAtMs = 0;
  #isFlushDue = false;
  #isTicking = false;
  #isClosed = false;

  constructor(options: LimitsOptions) {
    this.#options = options;
    this.#scheduler = options.scheduler ?? SCHEDULER;
    this.#table = new KeyTable({ maxKeys: options.maxKeys, isIdle: isForgettable });
  }

  limiter({ name, windows }: Parameters<Limits['limiter']>[0]): Limiter {
    const scope = this.#findScope(name, windows);
    return { take: (key) => this.#take(scope, key) };
  }

  onMessage(message: LimitsKeeperMessage): void {
    if (this.#isClosed) return;
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#isKeeperLost) this.#resume();
    for (const order of message.orders) this.#obey(order, nowMs);
    if (this.#answers.length > 0) this.#flush();
  }

  close(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const { keys } of this.#scopes.values()) {
      for (const state of keys.values()) {
        for (const resolve of state.waiters.splice(0)) resolve(this.#takeShare(state, nowMs));
        if (state.tokens > 0 || state.uses.length > 0) this.#answers.push(reportOf(state, true));
      }
    }
    this.#outbox = [];
    this.#flush();
    this.#isClosed = true;
  }

  /** A scope stays for the life of the worker: some hundred bytes for each limiter there ever was. */
  #findScope(name: string, windows: readonly LimitWindow[]): Scope {
    const version = this.#options.clock.monotonicMs();
    const found = this.#scopes.get(name);
    if (!found) {
      const scope = { name, windows, version, tickMs: reportTickMs(windows), keys: this.#table.addScope() };
      this.#scopes.set(name, scope);
      return scope;
    }
    if (JSON.stringify(found.windows) !== JSON.stringify(windows)) {
      found.windows = windows;
      found.version = version;
      found.tickMs = reportTickMs(windows);
      // A refusal under the old windows says nothing about the new, and an index may point past their end.
      for (const state of found.keys.values()) {
        state.refusedUntilMs = 0;
        state.window = 0;
      }
    }
    return found;
  }

  #take(scope: Scope, key: string): MaybePromise<LimitVerdict> {
    const nowMs = this.#options.clock.monotonicMs();
    const state = scope.keys.get(key) ?? this.#open(scope, key, nowMs);
    if (state.tokens > 0 && nowMs < state.expiresAtMs) return this.#spend(state, nowMs);
    if (nowMs < state.refusedUntilMs) return refusalOf(state, nowMs);
    if (this.#isKeeperLost || this.#isClosed) return this.#takeShare(state, nowMs);
    return new Promise((resolve) => {
      state.waiters.push(resolve);
      if (!state.isAsking) this.#ask(state);
    });
  }

  #open(scope: Scope, key: string, nowMs: number): LeasedKey {
    const state = newLeasedKey(scope, key);
    if (this.#table.insert(scope.keys, key, state, nowMs)) return state;
    return scope.keys.get(OVERFLOW_KEY) ?? this.#open(scope, OVERFLOW_KEY, nowMs);
  }

  #spend(state: LeasedKey, nowMs: number): LimitVerdict {
    const verdict = spend(state, nowMs);
    if (isRunningLow(state)) this.#queue(state, true);
    return verdict;
  }

  /** Asks at the end of this turn of the event loop: all that the turn brings, for all keys, is one message. */
  #ask(state: LeasedKey): void {
    this.#queue(state, true);
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#scheduler.soon(() => this.#flush());
  }

  #queue(state: LeasedKey, wantsMore: boolean): void {
    if (wantsMore) state.wantsMore = true;
    if (!state.isQueued) this.#outbox.push(state);
    state.isQueued = true;
    this.#startTicking();
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#isClosed) return;
    const nowMs = this.#options.clock.monotonicMs();
    const reports = this.#answers;
    for (const state of this.#outbox) reports.push(this.#report(state, nowMs));
    this.#answers = [];
    this.#outbox = [];
    if (reports.length > 0) this.#options.send({ type: 'limits', reports });
  }

  #report(state: LeasedKey, nowMs: number): LimitsReport {
    const isAsk = state.wantsMore && !state.isAsking;
    state.isQueued = false;
    state.wantsMore = false;
    if (isAsk) {
      adjustAppetite(state, nowMs);
      state.isAsking = true;
      state.askedAtMs = nowMs;
      this.#asking.add(state);
    }
    const report = reportOf(state, nowMs >= state.expiresAtMs);
    if (!isAsk) return report;
    const waiting = state.waiters.length;
    // An ask for nothing would get no answer.
    return { ...report, waiting, extra: waiting > 0 ? state.appetite : Math.max(1, state.appetite) };
  }

  #obey(order: LimitsOrder, nowMs: number): void {
    const scope = this.#scopes.get(order.limiter);
    if (!scope) return;
    const state = scope.keys.get(order.key);
    if (order.op === 'recall') {
      this.#answers.push({ ...reportOf(state ?? newLeasedKey(scope, order.key), true), isRecalled: true });
      if (state) state.appetite = 0;
      return;
    }
    // Forgotten after its ask timed out; the keeper counts tokens that come too late when their lease ends.
    if (!state) return;
    state.isAsking = false;
    this.#asking.delete(state);
    if (order.op === 'grant') this.#accept(state, order, nowMs);
    else if (order.op === 'refuse') this.#refuse(state, order, nowMs);
    else this.#overflow(state, nowMs);
  }

  #accept(state: LeasedKey, grant: Extract<LimitsOrder, { op: 'grant' }>, nowMs: number): void {
    if (grant.tokens > 0) {
      acceptTokens(state, grant.lease, grant.tokens);
      state.grantedAtMs = nowMs;
      state.expiresAtMs = grant.expiresAtMs;
      this.#noteEnd(state);
    }
    state.window = grant.window;
    state.remaining = grant.remaining - unreportedOf(state);
    let served = 0;
    for (; served < state.waiters.length && state.tokens > 0 && nowMs < state.expiresAtMs; served++) {
      state.waiters[served]?.(this.#spend(state, nowMs));
    }
    state.waiters.splice(0, served);
    if (state.waiters.length > 0) this.#ask(state);
  }

  #refuse(state: LeasedKey, refusal: Extract<LimitsOrder, { op: 'refuse' }>, nowMs: number): void {
    state.refusedUntilMs = refusal.untilMs;
    state.window = refusal.window;
    for (const resolve of state.waiters.splice(0)) resolve(refusalOf(state, nowMs));
  }

  #overflow(state: LeasedKey, nowMs: number): void {
    const { scope } = state;
    const shared = scope.keys.get(OVERFLOW_KEY) ?? this.#open(scope, OVERFLOW_KEY, nowMs);
    const waiters = state.waiters.splice(0);
    if (nowMs < shared.refusedUntilMs) {
      for (const resolve of waiters) resolve(refusalOf(shared, nowMs));
      return;
    }
    shared.waiters.push(...waiters);
    if (!shared.isAsking) this.#ask(shared);
  }

  #noteEnd(state: LeasedKey): void {
    if (state.isTimed) return;
    state.isTimed = true;
    this.#leases.add(state, state.expiresAtMs);
    this.#startTicking();
  }

  #startTicking(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#scheduler.after(GATHER_MS, () => this.#tick());
  }

  #tick(): void {
    this.#isTicking = false;
    if (this.#isClosed) return;
    const nowMs = this.#options.clock.monotonicMs();
    for (const state of this.#leases.takeDue(nowMs)) {
      state.isTimed = false;
      if (nowMs < state.expiresAtMs) this.#noteEnd(state);
      else this.#end(state);
    }
    this.#checkKeeper(nowMs);
    this.#flush();
    if (!this.#leases.isEmpty || this.#asking.size > 0) this.#startTicking();
  }

  #end(state: LeasedKey): void {
    if (state.tokens > state.appetite >> 1) state.appetite >>= 1;
    if (state.tokens > 0 || state.uses.length > 0) this.#queue(state, false);
  }

  #checkKeeper(nowMs: number): void {
    for (const state of this.#asking) {
      if (nowMs < state.askedAtMs + KEEPER_TIMEOUT_MS) return;
      this.#isKeeperLost = true;
      this.#asking.delete(state);
      state.isAsking = false;
      for (const resolve of state.waiters.splice(0)) resolve(this.#takeShare(state, nowMs));
    }
  }

  /** Answers from the worker's even share of the limit, at least 1. The keeper hears of it when it is back. */
  #takeShare(state: LeasedKey, nowMs: number): LimitVerdict {
    if (!state.share) this.#sharing.add(state);
    state.share ??= newShare(state, this.#options.workers ?? 1);
    if (nowMs >= this.#probeAtMs) {
      this.#probeAtMs = nowMs + KEEPER_TIMEOUT_MS;
      this.#queue(state, true);
    }
    return takeFrom(state.share, nowMs);
  }

  /** Hears the keeper again: tells it what was used meanwhile. */
  #resume(): void {
    this.#isKeeperLost = false;
    for (const state of this.#sharing) {
      if (state.share) this.#answers.push({ ...reportOf(state, false), strays: state.share.entries() });
      state.share = undefined;
    }
    this.#sharing.clear();
  }
}
