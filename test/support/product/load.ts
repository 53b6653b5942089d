// Load on a gateway: kept-alive connections that ask again and again until told to stop, and what they saw.
// Must not retry: a client that hides failures hides the fault.
import { Pool } from 'undici';

/** Is one answer, or the failure in its place. Times are milliseconds. */
export interface Sample {
  readonly at: number;
  readonly latencyMs: number;
  /** 0 = no whole answer came. */
  readonly status: number;
}

/** Is running load. */
export interface Load {
  readonly samples: readonly Sample[];
  /** Resolves when `count` more answers have come. */
  waitFor(count: number): Promise<void>;
  /** Lets the requests under way finish. */
  stop(): Promise<readonly Sample[]>;
}

/** Says what to ask. */
export interface LoadOptions {
  readonly connections: number;
  readonly path: string | (() => string);
  readonly headers?: Readonly<Record<string, string>> | (() => Readonly<Record<string, string>>);
  /** Ends by itself after so many requests. */
  readonly requests?: number;
  /** Pause of a connection between two requests; 0 = none. */
  readonly pauseMs?: number;
}

/** Starts load on the gateway at `url`. */
export function startLoad(url: string, options: LoadOptions): Load {
  const pool = new Pool(url, { connections: options.connections, pipelining: 1 });
  const samples: Sample[] = [];
  const waiting: { readonly until: number; readonly resolve: () => void }[] = [];
  let left = options.requests ?? Number.POSITIVE_INFINITY;
  let isStopping = false;

  const ask = async (): Promise<void> => {
    const at = performance.now();
    const path = typeof options.path === 'string' ? options.path : options.path();
    const headers = typeof options.headers === 'function' ? options.headers() : options.headers;
    let status = 0;
    try {
      const response = await pool.request({ path, method: 'GET', ...(headers ? { headers } : {}) });
      await response.body.dump();
      status = response.statusCode;
    } catch {
      // A broken connection is a sample of status 0.
    }
    samples.push({ at, latencyMs: performance.now() - at, status });
    for (const one of waiting) if (samples.length >= one.until) one.resolve();
  };
  const repeat = async (): Promise<void> => {
    while (!isStopping && left > 0) {
      left--;
      await ask();
      if (options.pauseMs) await new Promise((resolve) => setTimeout(resolve, options.pauseMs));
    }
  };
  const done = Promise.all(Array.from({ length: options.connections }, repeat));
  return {
    samples,
    waitFor: (count) =>
      new Promise((resolve) => {
        waiting.push({ until: samples.length + count, resolve });
      }),
    async stop() {
      if (options.requests === undefined) isStopping = true;
      await done;
      await pool.destroy();
      return samples;
    },
  };
}

/** Gives the share-th part of the latencies, 0..1. */
export function percentile(samples: readonly Sample[], share: number): number {
  const sorted = samples.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** Counts samples by status. */
export function countStatuses(samples: readonly Sample[]): Readonly<Record<number, number>> {
  const counts: Record<number, number> = {};
  for (const { status } of samples) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}
