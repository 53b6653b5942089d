// Drives h2load: HTTP/2 over TLS, or in clear by prior knowledge, several requests in flight on each connection.
// Must not trust its summary alone: the latencies come from its log, a line per request.
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { startProcess } from '../processes.ts';
import { SERVER_NAME } from './certificate.ts';
import type { LoadPlan, LoadResult } from './load.ts';
import { findPercentile } from './tally.ts';

/** Requests in flight on one connection. */
export const STREAMS_PER_CONNECTION = 8;
const LOG_STATUS = 1;
const LOG_MICROS = 2;

/** Is what h2load says at its end. */
export interface H2loadSummary {
  readonly seconds: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Body bytes of all answers. */
  readonly bodyBytes: number;
}

/** Reads the summary. @throws Error when it is none. */
export function readSummary(output: string): H2loadSummary {
  const find = (pattern: RegExp): number => {
    const found = pattern.exec(output)?.[1];
    if (found === undefined) throw new Error(`h2load failed:\n${output}`);
    return Number(found);
  };
  const unit = /finished in [\d.]+(us|ms|s|m),/.exec(output)?.[1] ?? 's';
  const scale = { us: 1e-6, ms: 1e-3, s: 1, m: 60 }[unit] ?? 1;
  return {
    seconds: find(/finished in ([\d.]+)/) * scale,
    succeeded: find(/(\d+) succeeded/),
    // `failed` includes what was errored and timed out.
    failed: find(/(\d+) failed/),
    bodyBytes: find(/\((\d+)\) data/),
  };
}

/** Reads the log, TSV of start, status and duration in microseconds: the durations in ms, sorted. */
export function readLatencies(log: string): Float64Array {
  const latencies = log
    .split('\n')
    .map((line) => line.split('\t'))
    .filter((fields) => fields[LOG_STATUS] === '200')
    .map((fields) => Number(fields[LOG_MICROS]) / 1000);
  return Float64Array.from(latencies).sort();
}

function buildCommand(plan: LoadPlan, logFile: string): readonly string[] {
  const [first] = plan.requests;
  const scheme = plan.certificate === undefined ? 'http' : 'https';
  const fields = Object.entries(first?.headers ?? {}).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
  const dataFile = join(plan.directory, 'h2load.data');
  if (first?.body !== undefined) writeFileSync(dataFile, first.body, 'latin1');
  const clients = Math.max(1, Math.round(plan.connections / STREAMS_PER_CONNECTION));
  return [
    'h2load',
    ...['--threads', '1', '--clients', String(clients)],
    ...['--max-concurrent-streams', String(STREAMS_PER_CONNECTION), '--duration', String(plan.seconds)],
    ...['--log-file', logFile, '--connect-to', `127.0.0.1:${plan.port}`],
    ...(first?.body === undefined ? [] : ['--data', dataFile]),
    ...fields,
    ...plan.requests.map(({ path }) => `${scheme}://${SERVER_NAME}:${plan.port}${path}`),
  ];
}

/** Runs h2load with one thread. All requests of a plan have the headers and the body of its first. @throws Error when it fails. */
export async function runH2load(plan: LoadPlan): Promise<LoadResult> {
  const logFile = join(plan.directory, 'h2load.tsv');
  rmSync(logFile, { force: true });
  const child = startProcess(buildCommand(plan, logFile), { core: plan.core });
  if (child.stdout === null) throw new Error('h2load has no stdout');
  const [output] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  const { seconds, succeeded, failed, bodyBytes } = readSummary(output);
  const latencies = readLatencies(readFileSync(logFile, 'utf8'));
  const bodyLength = plan.requests[0]?.answerLength ?? 0;
  // An error of gRPC is an answer with status 200 and no body.
  const withoutBody = Math.max(0, succeeded - Math.floor(bodyBytes / Math.max(1, bodyLength)));
  const [p50Ms, p99Ms] = [findPercentile(latencies, 0.5), findPercentile(latencies, 0.99)];
  return { units: succeeded, seconds, failures: failed + (bodyLength === 0 ? 0 : withoutBody), p50Ms, p99Ms };
}
