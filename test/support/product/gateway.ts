// Runs a real node, or the whole product, as processes on free ports, for tests.
// Must not replace anything of the product: tests see what an operator would.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN_FILE = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));
const FREE_PORT = '127.0.0.1:0';

/** Is one line of the product's own log. */
export type LogLine = Readonly<Record<string, unknown>>;

/** Is how a process ended. */
export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** Is a running `sallyport gateway` or `sallyport start`. */
export interface RunningProduct {
  readonly pid: number;
  /** Of the proxy, the status port and, with `start`, the admin service and the proxy over TLS where it listens. */
  readonly urls: {
    readonly proxy: string;
    readonly status: string;
    readonly admin: string;
    readonly proxyTls?: string;
  };
  readonly dataDir: string;
  /** Is everything that was printed so far. */
  readonly printed: readonly string[];
  /** Is every log line so far. */
  readonly log: readonly LogLine[];
  readonly ended: Promise<Ending>;
  /** Gives the first log line, past or future, that fits. */
  waitForLog(fits: (line: LogLine) => boolean): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
  /** Ends it tidily if it still runs, and removes the data directory unless it was given. */
  stop(): Promise<void>;
}

/** Says how to run it. */
export interface ProductOptions {
  readonly dataDir?: string;
  readonly environment?: Readonly<Record<string, string>>;
}

/** Says that a process ended before it was ready. */
export class StartFailure extends Error {
  override readonly name = 'StartFailure';
  readonly ending: Ending;
  readonly complaints: readonly string[];

  constructor(ending: Ending, complaints: readonly string[]) {
    super(`ended with ${ending.code ?? ending.signal} before it was ready:\n${complaints.join('\n')}`);
    this.ending = ending;
    this.complaints = complaints;
  }
}

/** Starts a node on its own against a migrated database. @throws StartFailure */
export function startNode(databaseUrl: string, options: ProductOptions = {}): Promise<RunningProduct> {
  return run('gateway', { ...options, environment: { DATABASE_URL: databaseUrl, ...options.environment } });
}

/** Starts the whole product; without DATABASE_URL in `environment` with a Postgres of its own. @throws StartFailure */
export function startProduct(options: ProductOptions = {}): Promise<RunningProduct> {
  return run('start', options);
}

async function run(command: 'gateway' | 'start', options: ProductOptions): Promise<RunningProduct> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'sallyport-product-')));
  const child = spawn(process.execPath, [MAIN_FILE, command], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      // Where isolated-vm may be.
      NODE_PATH: process.env['NODE_PATH'],
      SALLYPORT_PROXY_LISTEN: FREE_PORT,
      SALLYPORT_ADMIN_LISTEN: FREE_PORT,
      SALLYPORT_STATUS_LISTEN: FREE_PORT,
      SALLYPORT_DATA_DIR: dataDir,
      SALLYPORT_LOG_LEVEL: 'debug',
      SALLYPORT_WORKERS: '2',
      ...options.environment,
    },
  });
  const streams = readStreams(child);
  const ended = once(child, 'close').then(([code, signal]): Ending => ({ code, signal }));
  const urls = await Promise.race([
    readUrls(command, dataDir, streams),
    ended.then((ending) => {
      throw new StartFailure(ending, streams.complaints);
    }),
  ]);
  const { pid } = child;
  if (pid === undefined) throw new Error('the process has no pid');

  return {
    pid,
    urls,
    dataDir,
    printed: streams.printed,
    log: streams.log,
    ended,
    waitForLog: streams.waitForLog,
    kill: (signal) => void child.kill(signal),
    async stop() {
      child.kill('SIGTERM');
      await ended;
      if (options.dataDir === undefined) await rm(dataDir, { recursive: true, force: true });
    },
  };
}

interface Streams {
  readonly printed: string[];
  readonly complaints: string[];
  readonly log: LogLine[];
  readonly ready: Promise<string>;
  waitForLog(fits: (line: LogLine) => boolean): Promise<LogLine>;
}

function readStreams(child: ChildProcess): Streams {
  const printed: string[] = [];
  const complaints: string[] = [];
  const log: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  let onReady: (line: string) => void = () => undefined;
  const ready = new Promise<string>((resolve) => {
    onReady = resolve;
  });

  if (child.stdout === null || child.stderr === null) throw new Error('the process has no streams');
  createInterface(child.stdout).on('line', (line) => {
    printed.push(line);
    if (line.includes('is ready')) onReady(line);
  });
  createInterface(child.stderr).on('line', (text) => {
    if (!text.startsWith('{')) {
      complaints.push(text);
      return;
    }
    const line = JSON.parse(text) as LogLine;
    log.push(line);
    for (const hear of waiting) hear(line);
  });
  return { printed, complaints, log, ready, waitForLog: (fits) => waitFor(fits, log, waiting) };
}

function waitFor(
  fits: (line: LogLine) => boolean,
  log: readonly LogLine[],
  waiting: Set<(line: LogLine) => void>,
): Promise<LogLine> {
  const past = log.find(fits);
  if (past !== undefined) return Promise.resolve(past);
  return new Promise((resolve) => {
    const hear = (line: LogLine): void => {
      if (!fits(line)) return;
      waiting.delete(hear);
      resolve(line);
    };
    waiting.add(hear);
  });
}

async function readUrls(
  command: 'gateway' | 'start',
  dataDir: string,
  { ready }: Streams,
): Promise<RunningProduct['urls']> {
  const line = await ready;
  if (command === 'start') return JSON.parse(await readFile(join(dataDir, 'ports.json'), 'utf8'));
  const [proxy = '', status = ''] = line.match(/http:\/\/[^\s,]+/g) ?? [];
  return { proxy, status, admin: '' };
}
