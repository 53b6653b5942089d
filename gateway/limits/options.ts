// What a worker's limits need and give.
// Must not hold behaviour.
import type { Clock, Limits } from '../core/plugin.ts';
import type { LimitsKeeperMessage, LimitsWorkerMessage } from './messages.ts';
import type { Scheduler } from './scheduler.ts';

/** Describes `createLimits`. */
export interface LimitsOptions {
  /** Hands a message to the keeper. Must not throw. */
  readonly send: (message: LimitsWorkerMessage) => void;
  readonly clock: Clock;
  readonly scheduler?: Scheduler;
  /** Workers of the node: sets this worker's share while the keeper is out of reach. Default 1. */
  readonly workers?: number;
  /** Default `MAX_KEYS`. */
  readonly maxKeys?: number;
  /** Says whether the keeper has a Redis. Default false. Postgres it always has, in reach or not. */
  readonly hasRedis?: boolean;
}

/** Is the worker's limits with the wire to the keeper. */
export interface WorkerLimits extends Limits {
  onMessage(message: LimitsKeeperMessage): void;
  /** Reports all uses, gives back all tokens and answers who waits. */
  close(): void;
}
