// Measures gateways in interleaved rounds and takes medians: A B C A B C, so that the machine's noise hits all alike.
// Must not print.

import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { get } from 'node:http';
import { text } from 'node:stream/consumers';
import { ANSWER_BODY } from './answer.ts';
import type { LoadRequest, RunningGateway } from './contenders/contender.ts';
import type { LoadGenerator, LoadPlan } from './load/load.ts';
import { readCpuMs, readRssBytes } from './processes.ts';

/** How many of a gateway's requests are tried one by one, with the whole answer compared, before any load. */
const CHECKED_REQUESTS = 20;

/** Is what one measured window showed. */
export interface Sample {
  readonly requests: number;
  readonly failures: number;
  readonly cpuMicrosPerRequest: number;
  readonly requestsPerSecond: number;
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

async function checkAnswer(port: number, { path, headers }: LoadRequest): Promise<void> {
  const request = get({ port, host: '127.0.0.1', path, headers: { host: 'orders.example.com', ...headers } });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = await text(response);
  if (response.statusCode !== 200) throw new Error(`GET ${path} answered ${response.statusCode}: ${body}`);
  if (body !== ANSWER_BODY) throw new Error(`GET ${path} answered another body: ${body}`);
}

/** Checks that a gateway hands on the right answer. @throws Error when status or body is another. */
export async function checkAnswers({ port, requests }: RunningGateway): Promise<void> {
  const step = Math.max(1, Math.floor(requests.length / CHECKED_REQUESTS));
  for (let index = 0; index < requests.length; index += step) {
    const request = requests[index];
    if (request !== undefined) await checkAnswer(port, request);
  }
}

/**
 * Measures one window: load, and the CPU time that the gateway's process tree spent on it.
 * @throws Error when not one request was answered
 */
export async function measureWindow(entrant: Entrant, load: LoadGenerator, plan: LoadPlan): Promise<Sample> {
  const { pid } = entrant.gateway;
  const cpuBeforeMs = readCpuMs(pid);
  const { requests, seconds, failures, p50Ms, p99Ms } = await load.run(plan);
  const cpuMs = readCpuMs(pid) - cpuBeforeMs;
  if (requests === 0) throw new Error(`${entrant.name} answered nothing for ${plan.seconds} s`);
  return {
    requests,
    failures,
    cpuMicrosPerRequest: (cpuMs * 1000) / requests,
    requestsPerSecond: requests / seconds,
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

/** Sums a case up: medians, but requests and failures of all windows together. */
export function buildResult(name: string, samples: readonly Sample[]): CaseResult {
  const median = (field: keyof Sample): number => findMedian(samples.map((sample) => sample[field]));
  const sum = (field: keyof Sample): number => samples.reduce((total, sample) => total + sample[field], 0);
  return {
    name,
    requests: sum('requests'),
    failures: sum('failures'),
    cpuMicrosPerRequest: median('cpuMicrosPerRequest'),
    requestsPerSecond: median('requestsPerSecond'),
    p50Ms: median('p50Ms'),
    p99Ms: median('p99Ms'),
    rssBytes: median('rssBytes'),
    samples,
  };
}
