// A worker's side of limits that all nodes share: asks the keeper, which asks the stores.
// Must not wait for an answer longer than a request may.
import type { Limiter, Limits, LimitVerdict, MaybePromise } from '../../core/plugin.ts';
import type { SharedAnswer, SharedStoreName, SharedTake } from '../messages.ts';
import type { LimitsOptions } from '../options.ts';
import { SCHEDULER, type Scheduler } from '../scheduler.ts';

/** The store answers in 200 ms or fails; this is for a keeper that does not answer at all. */
const ANSWER_TIMEOUT_MS = 500;

/** Refusals remembered, so that a flood is refused without a message; clients choose keys, so there is a bound. */
const MAX_REFUSALS = 10_000;

interface Waiter {
  readonly resolve: (verdict: LimitVerdict) => void;
  readonly reject: (error: Error) => void;
  /** Where a refusal is remembered. */
  readonly refusals: Map<string, Refusal>;
  readonly key: string;
}

interface Refusal {
  readonly window: number;
  readonly untilMs: number;
}

/** Is a limiter whose counts all nodes share. */
export type SharedLimiterOptions = Parameters<Limits['limiter']>[0] & { readonly store: SharedStoreName };

/** Asks for takes from the shared stores, all of a turn of the event loop in one message. */
export class SharedClient {
  readonly #options: LimitsOptions;
  readonly #scheduler: Scheduler;
  readonly #waiters = new Map<number, Waiter>();
  #outbox: SharedTake[] = [];
  #lastId = 0;

  constructor(options: LimitsOptions) {
    this.#options = options;
    this.#scheduler = options.scheduler ?? SCHEDULER;
  }

  limiter({ name, windows, store }: SharedLimiterOptions): Limiter {
    const refusals = new Map<string, Refusal>();
    return {
      take: (key): MaybePromise<LimitVerdict> => {
        const refusal = refusals.get(key);
        const waitMs = refusal ? refusal.untilMs - this.#options.clock.monotonicMs() : 0;
        if (refusal && waitMs > 0) return { isAllowed: false, window: refusal.window, remaining: 0, resetMs: waitMs };
        refusals.delete(key);
        return this.#ask({ id: ++this.#lastId, store, limiter: name, key, windows }, refusals);
      },
    };
  }

  onAnswers(answers: readonly SharedAnswer[]): void {
    for (const { id, verdict } of answers) {
      const waiter = this.#waiters.get(id);
      if (!waiter) continue;
      this.#waiters.delete(id);
      if (!verdict) waiter.reject(new Error('the shared store does not answer'));
      else {
        if (!verdict.isAllowed) this.#remember(waiter, verdict);
        waiter.resolve(verdict);
      }
    }
  }

  /** Fails all that wait. */
  close(): void {
    for (const { reject } of this.#waiters.values()) reject(new Error('the gateway is shutting down'));
    this.#waiters.clear();
  }

  #ask(take: SharedTake, refusals: Map<string, Refusal>): Promise<LimitVerdict> {
    if (this.#outbox.length === 0) this.#scheduler.soon(() => this.#flush());
    this.#outbox.push(take);
    return new Promise((resolve, reject) => {
      this.#waiters.set(take.id, { resolve, reject, refusals, key: take.key });
    });
  }

  #flush(): void {
    const sharedTakes = this.#outbox;
    this.#outbox = [];
    this.#options.send({ type: 'limits', reports: [], sharedTakes });
    this.#scheduler.after(ANSWER_TIMEOUT_MS, () => this.onAnswers(sharedTakes.map(({ id }) => ({ id }))));
  }

  #remember({ refusals, key }: Waiter, { window, resetMs }: LimitVerdict): void {
    if (refusals.size >= MAX_REFUSALS) refusals.clear();
    refusals.set(key, { window, untilMs: this.#options.clock.monotonicMs() + resetMs });
  }
}
