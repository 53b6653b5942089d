// Measures gateways in interleaved rounds and takes medians: A B C A B C, so that the machine's noise hits all alike.
// Must not print.
import type { RunningGateway } from './contenders/contender.ts';
import type { LoadGenerator, LoadPlan } from './load/load.ts';
import { readCpuMs, readRssBytes } from './processes.ts';

/** Is what one measured window showed. */
export interface Sample {
  /** Requests, messages, handshakes: what the load counts. */
  readonly units: number;
  readonly failures: number;
  readonly cpuMicrosPerUnit: number;
  readonly unitsPerSecond: number;
  /** How much of one core the gateway used. Well below 1, the load was the limit, and the gateway could have done more. */
  readonly coreShare: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly rssBytes: number;
}

/** Is the result of a case: the median of each figure over its windows, and the windows. */
export interface CaseResult extends Sample {
  readonly name: string;
  readonly samples: readonly Sample[];
}

/** Is a gateway in the run, with the windows measured so far. */
export interface Entrant {
  readonly name: string;
  readonly gateway: RunningGateway;
  readonly directory: string;
  readonly samples: Sample[];
}

/**
 * Measures one window: load, and the CPU time that the gateway's process tree spent on it.
 * @throws Error when not one request was answered
 */
export async function measureWindow(entrant: Entrant, load: LoadGenerator, plan: LoadPlan): Promise<Sample> {
  const { pid } = entrant.gateway;
  const cpuBeforeMs = readCpuMs(pid);
  const { units, seconds, failures, p50Ms, p99Ms } = await load.run(plan);
  const cpuMs = readCpuMs(pid) - cpuBeforeMs;
  if (units === 0) throw new Error(`${entrant.name} answered nothing for ${plan.seconds} s`);
  return {
    units,
    failures,
    cpuMicrosPerUnit: (cpuMs * 1000) / units,
    unitsPerSecond: units / seconds,
    coreShare: cpuMs / 1000 / seconds,
    p50Ms,
    p99Ms,
    rssBytes: readRssBytes(pid),
  };
}

/** Gives the middle value; the mean of the two middle ones when their number is even. */
export function findMedian(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Sums a case up: medians, but units and failures of all windows together. */
export function buildResult(name: string, samples: readonly Sample[]): CaseResult {
  const median = (field: keyof Sample): number => findMedian(samples.map((sample) => sample[field]));
  const sum = (field: keyof Sample): number => samples.reduce((total, sample) => total + sample[field], 0);
  return {
    name,
    units: sum('units'),
    failures: sum('failures'),
    cpuMicrosPerUnit: median('cpuMicrosPerUnit'),
    unitsPerSecond: median('unitsPerSecond'),
    coreShare: median('coreShare'),
    p50Ms: median('p50Ms'),
    p99Ms: median('p99Ms'),
    rssBytes: median('rssBytes'),
    samples,
  };
}
