// Puts load on a gateway: with wrk when it is installed, else with the harness's own generator.
// Must not measure the gateway itself.
import type { LoadRequest } from '../contenders/contender.ts';
import { type Core, isInstalled } from '../processes.ts';
import { runSocketLoad } from './socket-load.ts';
import { runWrk } from './wrk.ts';

/** Describes one stretch of load: a closed loop over kept-alive connections. */
export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly requests: readonly LoadRequest[];
  /** Scratch directory. */
  readonly directory: string;
  readonly core: Core;
}

/** Is what one stretch of load saw. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Answers with another status than 2xx (wrk: 4xx and 5xx), broken connections and timeouts. */
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Puts load on a gateway. */
export interface LoadGenerator {
  readonly description: string;
  run(plan: LoadPlan): Promise<LoadResult>;
}

/** Gives the best generator that this machine has. */
export function findLoadGenerator(): LoadGenerator {
  if (isInstalled('wrk', '-v')) return { description: 'wrk, one thread', run: runWrk };
  return { description: 'own generator on node:net', run: runSocketLoad };
}
