// Is traffic at a constant rate over the paths of several apis, its latencies counted from when requests were due.
// Must not wait for the gateway: what is late is late.
import { buildRequestBytes } from '../../load/socket-load.ts';
import { findPercentile } from '../../load/tally.ts';
import { type Line, openLine } from '../line.ts';
import { startPace } from '../pace.ts';

const LINES = 64;
/** Due requests that wait for a connection; more are failures. */
const MOST_WAITING = 10_000;

/** Says what is asked, and how often. */
export interface TrafficOptions {
  readonly port: number;
  readonly perSecond: number;
  /** Asked one after the other. */
  readonly paths: readonly string[];
}

/** Is what was seen since the last look. */
export interface TrafficCount {
  readonly requests: number;
  /** Not answered 200, broken off, or never sent because too many were waiting. */
  readonly failures: number;
  /** Why the last one failed. */
  readonly lastFault: string | undefined;
  readonly p99Ms: number;
  readonly longestMs: number;
}

/** Is traffic that goes on until it is stopped. */
export interface ApiTraffic {
  /** Sends these headers with every request from now on. */
  setHeaders(headers: Readonly<Record<string, string>>): void;
  take(): TrafficCount;
  stop(): void;
}

/** Starts it. */
export async function startApiTraffic({ port, perSecond, paths }: TrafficOptions): Promise<ApiTraffic> {
  const open = new Set<Line>();
  const idle: Line[] = [];
  const addLine = async (): Promise<void> => {
    const line = await openLine({ port });
    open.add(line);
    idle.push(line);
  };
  await Promise.all(Array.from({ length: LINES }, addLine));
  const build = (headers: Readonly<Record<string, string>>): readonly Buffer[] =>
    paths.map((path) => buildRequestBytes({ path, headers }));
  let requests = build({});
  const due: number[] = [];
  let [next, failures] = [0, 0];
  let lastFault: string | undefined;
  let latencies: number[] = [];
  let isStopped = false;

  const fail = (fault: string): void => {
    failures += 1;
    lastFault = fault;
  };
  const sendNext = (): void => {
    if (isStopped || idle.length === 0) return;
    const dueMs = due.shift();
    // In turn, so that no connection idles until the gateway closes it.
    const line = dueMs === undefined ? undefined : idle.shift();
    if (dueMs !== undefined && line) void send(line, dueMs);
  };
  const send = async (line: Line, dueMs: number): Promise<void> => {
    next = (next + 1) % requests.length;
    try {
      const status = await line.ask(requests[next] ?? Buffer.alloc(0));
      if (status !== 200) fail(`answered ${status}`);
      if (line.isOpen) idle.push(line);
      else {
        line.close();
        open.delete(line);
        await addLine().catch(() => fail('no connection'));
      }
    } catch (error) {
      if (isStopped) return;
      fail(error instanceof Error ? error.message : String(error));
      open.delete(line);
      await addLine().catch(() => fail('no connection'));
    }
    latencies.push(performance.now() - dueMs);
    sendNext();
  };
  const stopPace = startPace(perSecond, (dueMs) => {
    if (due.length < MOST_WAITING) due.push(dueMs);
    else fail('too many are waiting');
    sendNext();
  });
  return {
    setHeaders(headers) {
      requests = build(headers);
    },
    take() {
      const sorted = Float64Array.from(latencies).sort();
      const p99Ms = findPercentile(sorted, 0.99);
      const count = { requests: sorted.length, failures, lastFault, p99Ms, longestMs: sorted.at(-1) ?? 0 };
      latencies = [];
      [failures, lastFault] = [0, undefined];
      return count;
    },
    stop() {
      isStopped = true;
      stopPace();
      for (const line of open) line.close();
    },
  };
}
