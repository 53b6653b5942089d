// Puts load on a gateway: with wrk or h2load when they are installed, else with the harness's own generators.
// Must not measure the gateway itself.
import type { LoadRequest } from '../contenders/contender.ts';
import { type Core, isInstalled } from '../processes.ts';
import { runH2load } from './h2load.ts';
import { buildGenerator } from './run-generator.ts';
import { runWrk } from './wrk.ts';

/** Describes one stretch of load: a closed loop over kept-alive connections. */
export interface LoadPlan {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  readonly requests: readonly LoadRequest[];
  /** PEM: speak TLS, and take this certificate for the gateway's. */
  readonly certificate?: string | undefined;
  /** Scratch directory. */
  readonly directory: string;
  readonly core: Core;
}

/** Is what one stretch of load saw. */
export interface LoadResult {
  /** Requests, messages, handshakes: whatever the generator counts. */
  readonly units: number;
  readonly seconds: number;
  /** Answers with another status than 2xx (wrk: 4xx and 5xx) or other bytes than expected, broken connections and timeouts. */
  readonly failures: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Puts load on a gateway. */
export interface LoadGenerator {
  readonly description: string;
  run(plan: LoadPlan): Promise<LoadResult>;
}

/** Gives the best generator of HTTP/1.1 requests that this machine has. */
export function findLoadGenerator(): LoadGenerator {
  if (isInstalled('wrk', '-v')) return { description: 'wrk, one thread', run: runWrk };
  return { description: 'own generator on node:net', run: buildGenerator('socket-load') };
}

/** Gives the best generator of HTTP/2 requests that this machine has. */
export function findHttp2Generator(): LoadGenerator {
  if (isInstalled('h2load', '--version')) return { description: 'h2load, one thread', run: runH2load };
  return { description: 'own generator on node:http2', run: buildGenerator('http2-load') };
}
