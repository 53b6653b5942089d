// Starts Sallyport as an operator would: `sallyport start` on an empty data directory, spoken to over the admin REST.
// Must not reach into the product: only its command, its environment, its REST and its status port.
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Cores, killTree, pinPids, readParentPid, readTree, startProcess, stopProcess } from '../processes.ts';

const COMMAND = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const FREE_PORT = '127.0.0.1:0';
const TOKEN = 'bench-token-of-a-throw-away-instance';
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;

const SETTINGS: Readonly<Record<string, string>> = {
  NODE_ENV: 'production',
  DATABASE_URL: '',
  SALLYPORT_PROXY_LISTEN: FREE_PORT,
  SALLYPORT_ADMIN_LISTEN: FREE_PORT,
  SALLYPORT_STATUS_LISTEN: FREE_PORT,
  SALLYPORT_ADMIN_TOKEN: TOKEN,
  SALLYPORT_WORKERS: '1',
  SALLYPORT_LOG_LEVEL: 'warn',
};

/** Is `ports.json` of the data directory: where a running Sallyport listens. Written when it is ready. */
export interface InstanceUrls {
  readonly proxy: string;
  /** Only with SALLYPORT_PROXY_TLS_LISTEN. */
  readonly proxyTls?: string;
  readonly admin: string;
  readonly status: string;
}

/** Says how Sallyport is started. */
export interface InstanceOptions {
  /** Its data directory is made in it. */
  readonly directory: string;
  /** Flags of Node, for every process. */
  readonly flags?: readonly string[];
  /** Settings besides those of every run. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Is a running `sallyport start`. */
export interface SallyportProcess {
  readonly urls: InstanceUrls;
  /** Rejects when it ends without being asked to. */
  readonly ended: Promise<never>;
  /** Pid of the parent of all. */
  readonly pid: number;
  /** Ends every process at once, as a power cut would. */
  kill(): Promise<void>;
  close(): Promise<void>;
}

/** Is a running Sallyport whose admin service answers, with one worker unless its settings say otherwise. */
export interface SallyportInstance extends SallyportProcess {
  /** Is the node: the keeper, whose child the worker is. */
  readonly keeperPid: number;
  /** Is the first of them. */
  readonly workerPid: number;
  /** Asks the admin service. @throws Error unless the answer is a success. */
  ask(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Pins the node to the gateway's core and all else to the other. */
  pin(cores: Cores): void;
}

/** Starts one. @throws Error when it does not get ready. */
export async function startSallyport(options: InstanceOptions): Promise<SallyportInstance> {
  const started = await startProcesses(options);
  try {
    const { urls } = started;
    const workerPid = await readWorkerPid(urls);
    const keeperPid = readParentPid(workerPid);
    return {
      ...started,
      workerPid,
      keeperPid,
      ask: (method, path, body) => askAdmin(urls, method, path, body),
      pin(cores) {
        pinPids(readTree(started.pid), cores.load);
        pinPids(readTree(keeperPid), cores.gateway);
      },
    };
  } catch (error) {
    await started.close();
    throw error;
  }
}

/** Starts one whose admin service need not answer, such as one without its database. @throws Error when it does not get ready. */
export async function startProcesses({ directory, flags = [], env = {} }: InstanceOptions): Promise<SallyportProcess> {
  const dataDir = join(directory, 'data');
  const portsFile = join(dataDir, 'ports.json');
  // One that was killed leaves it behind, and with it ports of nobody.
  rmSync(portsFile, { force: true });
  const child = startProcess([process.execPath, ...flags, COMMAND, 'start'], {
    // Unpinned at first: the processes are moved to their cores when it is known which is which.
    core: undefined,
    env: { ...SETTINGS, SALLYPORT_DATA_DIR: dataDir, ...env },
  });
  child.stdout?.resume();
  let isClosing = false;
  const ended = new Promise<never>((_, reject) => {
    child.once('exit', (code, signal) => {
      if (!isClosing) reject(new Error(`sallyport ended with ${signal ?? `exit code ${code}`}`));
    });
  });
  // Nobody has to listen.
  ended.catch(() => {});
  try {
    return {
      urls: await waitForUrls(child, portsFile),
      ended,
      pid: child.pid ?? 0,
      async kill() {
        isClosing = true;
        await killTree(child);
      },
      async close() {
        isClosing = true;
        await stopProcess(child);
      },
    };
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
}

async function waitForUrls(child: ChildProcess, portsFile: string): Promise<InstanceUrls> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`sallyport ended with exit code ${child.exitCode}`);
    if (existsSync(portsFile)) return JSON.parse(readFileSync(portsFile, 'utf8')) as InstanceUrls;
    await wait(POLL_MS);
  }
  throw new Error('sallyport did not get ready');
}

async function askAdmin(urls: InstanceUrls, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${urls.admin}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${answer.slice(0, 2000)}`);
  return answer === '' ? undefined : JSON.parse(answer);
}

async function readWorkerPid(urls: InstanceUrls): Promise<number> {
  const { data } = (await askAdmin(urls, 'GET', '/v1/nodes')) as { data: { workers: { pid: number }[] }[] };
  const pid = data[0]?.workers[0]?.pid;
  if (pid === undefined) throw new Error('GET /v1/nodes shows no worker');
  return pid;
}
