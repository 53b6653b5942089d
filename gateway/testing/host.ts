// What the gateway lends a binding, made of memory: clock, log, metrics, limits, fetch.
// Must not open anything.
import { buildKeyValues } from '../core/lending/memory.ts';
import type { FetchOptions, FetchResult, Host, Logger } from '../core/plugin.ts';
import { createLocalLimits } from '../limits/local-limits.ts';
import { type FakeClock, fakeClock } from './clock.ts';
import { fakeMetrics, type TestMetrics } from './metrics.ts';

/** Is one line of the gateway's log. */
export interface LogLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Answers one URL. A body that is neither text nor bytes is sent as JSON. Default 200 without a body. */
export interface FetchAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Maps a URL to its answer, or to a function that makes it (and may throw, as a broken network does). */
export type FetchTable = Readonly<
  Record<string, FetchAnswer | ((options: FetchOptions) => FetchAnswer | Promise<FetchAnswer>)>
>;

/** Shapes `fakeHost`; all of it may be left out. */
export interface HostOptions {
  readonly binding?: Partial<Host['binding']>;
  readonly clock?: FakeClock;
  readonly fetch?: FetchTable;
  /** Values by name, as an operator keeps them. */
  readonly secrets?: Readonly<Record<string, string>>;
}

/** Is a host whose every side a test can see. */
export interface TestHost extends Host {
  readonly clock: FakeClock;
  readonly metrics: TestMetrics;
  /** Lines the plugin logged, in order. */
  readonly logs: readonly LogLine[];
  /** URLs the plugin fetched, in order. */
  readonly fetched: readonly string[];
  /** Plays SIGHUP. */
  reopen(): void;
}

/** Bound of `Host.fetch` when the plugin names none. */
const DEFAULT_MAX_BYTES = 1_048_576;

/** Builds a host over memory. `fetch` rejects for a URL that is not in the table. */
export function fakeHost(options: HostOptions = {}): TestHost {
  const clock = options.clock ?? fakeClock();
  const logs: LogLine[] = [];
  const fetched: string[] = [];
  const reopeners: (() => void)[] = [];
  return {
    binding: { id: '00000000-0000-4000-8000-00000000b1d0', plugin: 'test', name: undefined, ...options.binding },
    clock,
    logs,
    fetched,
    log: fakeLogger(logs),
    metrics: fakeMetrics(),
    limits: createLocalLimits({ clock }),
    secrets: { get: (name) => options.secrets?.[name] },
    kv: buildKeyValues(clock),
    async fetch(url, fetchOptions = {}) {
      fetched.push(url);
      return answerFetch(options.fetch?.[url], url, fetchOptions);
    },
    onReopen(callback) {
      reopeners.push(callback);
    },
    reopen() {
      for (const callback of reopeners) callback();
    },
  };
}

function fakeLogger(logs: LogLine[]): Logger {
  const write =
    (level: keyof Logger) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      logs.push({ level, message, fields });
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

async function answerFetch(entry: FetchTable[string] | undefined, url: string, options: FetchOptions) {
  if (!entry) throw new Error(`no answer for ${url} in the fetch table`);
  const answer = typeof entry === 'function' ? await entry(options) : entry;
  const body = toBytes(answer.body);
  if (body.byteLength > (options.maxBytes ?? DEFAULT_MAX_BYTES)) throw new Error(`the body of ${url} is too large`);
  const result: FetchResult = { status: answer.status ?? 200, headers: answer.headers ?? {}, body };
  return result;
}

function toBytes(body: unknown): Uint8Array {
  if (body === undefined) return new Uint8Array();
  if (body instanceof Uint8Array) return body;
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}
