// What a worker and the keeper of its node say to each other about limits: plain data that survives JSON.
// Must not hold behaviour. Times are monotonic milliseconds, the same clock for all processes of the machine.
import type { LimitStore, LimitVerdict, LimitWindow } from '../core/plugin.ts';

/** Comes from a worker: what it used, what it gives back, what it wants. One message carries many keys. */
export interface LimitsWorkerMessage {
  readonly type: 'limits';
  readonly reports: readonly LimitsReport[];
  /** Takes from stores that all nodes share. */
  readonly sharedTakes?: readonly SharedTake[];
}

/** Names a store that all nodes share. */
export type SharedStoreName = Exclude<LimitStore, 'local'>;

/** Asks for one use from a shared store. */
export interface SharedTake {
  readonly id: number;
  readonly store: SharedStoreName;
  readonly limiter: string;
  readonly key: string;
  readonly windows: readonly LimitWindow[];
}

/** Answers a `SharedTake`. */
export interface SharedAnswer {
  readonly id: number;
  /** Undefined = the store did not answer. */
  readonly verdict?: LimitVerdict;
}

/** Says all that a worker has to say about one key. */
export interface LimitsReport {
  readonly limiter: string;
  readonly key: string;
  readonly windows: readonly LimitWindow[];
  /** When the worker learnt these windows: of two sets under one name the later one holds. */
  readonly version: number;
  /** Requests that wait for a token right now. */
  readonly waiting: number;
  /** Tokens wanted beyond those. */
  readonly extra: number;
  /** The lease that `uses` and `returned` belong to; 0 = none. */
  readonly lease: number;
  /** Tokens of the lease used since the last report: [atMs, count, atMs, count ...]. */
  readonly uses: readonly number[];
  /** Tokens of the lease given back unused. */
  readonly returned: number;
  /** Uses without a token, made while the keeper was out of reach. */
  readonly strays?: readonly number[];
  /** Answers a recall. */
  readonly isRecalled?: true;
}

/** Comes from the keeper. */
export interface LimitsKeeperMessage {
  readonly type: 'limits';
  readonly orders: readonly LimitsOrder[];
  readonly sharedAnswers?: readonly SharedAnswer[];
}

/** Is one thing the keeper says about one key. */
export type LimitsOrder =
  | {
      readonly op: 'grant';
      readonly limiter: string;
      readonly key: string;
      readonly lease: number;
      /** May be 0: nothing to spare for `extra`. */
      readonly tokens: number;
      /** Holds for all tokens of the lease. A token is dead from then on. */
      readonly expiresAtMs: number;
      /** Index of the window with the least left, and what is left in it before this worker's unreported uses. */
      readonly window: number;
      readonly remaining: number;
    }
  | {
      readonly op: 'refuse';
      readonly limiter: string;
      readonly key: string;
      /** No token can become free before. */
      readonly untilMs: number;
      readonly window: number;
    }
  /** Asks for a report and every unused token, at once. */
  | { readonly op: 'recall'; readonly limiter: string; readonly key: string }
  /** Tells to use the limiter's overflow key instead: too many keys count already. */
  | { readonly op: 'overflow'; readonly limiter: string; readonly key: string };
