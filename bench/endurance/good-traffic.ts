// Is traffic that means well: requests at a constant rate, their latencies counted from when they were due.
// Must not fill the gateway: it is there to feel what others do to it.

import { buildRequestBytes } from '../load/socket-load.ts';
import { findPercentile } from '../load/tally.ts';
import { type Line, openLine } from './line.ts';
import { startPace } from './pace.ts';

const LINES = 64;
const PER_SECOND = 1_000;
const MOST_WAITING = 10_000;
const REQUEST = buildRequestBytes({ path: '/orders/1001', headers: {} });

/** Is traffic that goes on until it is stopped. */
export interface GoodTraffic {
  /** Requests that were not answered 200, or found too many waiting before them. */
  readonly failures: number;
  /** Gives the 99th percentile of the latencies since the last call. */
  takeP99Ms(): number;
  stop(): void;
}

/** Starts it. */
export async function startGoodTraffic(port: number): Promise<GoodTraffic> {
  const lines = await Promise.all(Array.from({ length: LINES }, () => openLine({ port })));
  const idle = [...lines];
  // What is due and finds no idle connection waits for one, and its latency with it.
  const due: number[] = [];
  let failures = 0;
  let latencies: number[] = [];
  const sendNext = (): void => {
    if (idle.length === 0) return;
    const dueMs = due.shift();
    const line = dueMs === undefined ? undefined : idle.pop();
    if (dueMs !== undefined && line) void send(line, dueMs);
  };
  const send = async (line: Line, dueMs: number): Promise<void> => {
    try {
      if ((await line.ask(REQUEST)) !== 200) failures += 1;
      latencies.push(performance.now() - dueMs);
      idle.push(line);
      sendNext();
    } catch {
      failures += 1;
    }
  };
  const stop = startPace(PER_SECOND, (dueMs) => {
    if (due.length < MOST_WAITING) due.push(dueMs);
    else failures += 1;
    sendNext();
  });
  return {
    get failures() {
      return failures;
    },
    takeP99Ms() {
      const sorted = Float64Array.from(latencies).sort();
      latencies = [];
      return findPercentile(sorted, 0.99);
    },
    stop() {
      stop();
      for (const line of lines) line.close();
    },
  };
}
