// Runs Sallyport as an operator would: `sallyport start` on an empty data directory, configured over the admin REST.
// Must not reach into the product: only its command, its environment, its REST and its status port.
import type { ChildProcess } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findFreePort, pinPids, readParentPid, readTree, startProcess, stopProcess } from '../processes.ts';
import type { Contender, ContenderContext } from './contender.ts';
import { SALLYPORT_CASES, type SallyportCase } from './sallyport-cases.ts';

const COMMAND = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const TOKEN = 'bench-token-of-a-throw-away-instance';
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const LINE_FEED = 0x0a;

interface Instance {
  readonly child: ChildProcess;
  readonly proxyPort: number;
  readonly adminUrl: string;
  readonly statusUrl: string;
}

async function startInstance({ directory, shouldProfile }: ContenderContext): Promise<Instance> {
  const [proxyPort, adminPort, statusPort] = await Promise.all([findFreePort(), findFreePort(), findFreePort()]);
  // Every process that `start` forks inherits these flags and writes a profile of its own.
  const flags = shouldProfile ? ['--cpu-prof', `--cpu-prof-dir=${join(directory, 'profiles')}`] : [];
  const child = startProcess([process.execPath, ...flags, COMMAND, 'start'], {
    // Unpinned at first: the processes are moved to their cores when it is known which is which.
    core: undefined,
    env: {
      NODE_ENV: 'production',
      DATABASE_URL: '',
      SALLYPORT_DATA_DIR: join(directory, 'data'),
      SALLYPORT_PROXY_LISTEN: `127.0.0.1:${proxyPort}`,
      SALLYPORT_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
      SALLYPORT_STATUS_LISTEN: `127.0.0.1:${statusPort}`,
      SALLYPORT_ADMIN_TOKEN: TOKEN,
      SALLYPORT_WORKERS: '1',
      SALLYPORT_LOG_LEVEL: 'warn',
    },
  });
  child.stdout?.resume();
  return {
    child,
    proxyPort,
    adminUrl: `http://127.0.0.1:${adminPort}`,
    statusUrl: `http://127.0.0.1:${statusPort}`,
  };
}

async function waitFor(child: ChildProcess, url: string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`sallyport ended with exit code ${child.exitCode}`);
    const response = await fetch(url).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.status === 200) return;
    await wait(POLL_MS);
  }
  throw new Error(`sallyport did not get ready: ${url}`);
}

async function askAdmin(instance: Instance, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${instance.adminUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${answer.slice(0, 2000)}`);
  return answer === '' ? undefined : JSON.parse(answer);
}

async function readWorkerPid(instance: Instance): Promise<number> {
  const { data } = (await askAdmin(instance, 'GET', '/v1/nodes')) as { data: { workers: { pid: number }[] }[] };
  const pid = data[0]?.workers[0]?.pid;
  if (pid === undefined) throw new Error('GET /v1/nodes shows no worker');
  return pid;
}

async function checkRefusal({ proxyPort }: Instance, path: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${proxyPort}${path}`);
  await response.arrayBuffer();
  if (response.status !== 401) throw new Error(`a request without a key was answered ${response.status}, not 401`);
}

async function countLines(path: string): Promise<number> {
  let lines = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, at + 1)) lines += 1;
  }
  return lines;
}

async function checkWork(instance: Instance, logPath: string, requestsServed: number): Promise<void> {
  const lines = await countLines(logPath);
  if (lines < requestsServed) throw new Error(`file-log wrote ${lines} lines for ${requestsServed} requests`);
  const metrics = await (await fetch(`${instance.statusUrl}/metrics`)).text();
  if (!/\{[^}]*orders/.test(metrics)) throw new Error('/metrics shows no series of the api');
}

/** Keeps the worker's profile in the working directory: the scratch directory goes away. */
function keepProfiles(directory: string, name: string, workerPid: number): readonly string[] {
  const profiles = join(directory, 'profiles');
  const files = existsSync(profiles) ? readdirSync(profiles) : [];
  return files
    .filter((file) => file.includes(`.${workerPid}.`))
    .map((file) => {
      const kept = resolve(`${name}.cpuprofile`);
      renameSync(join(profiles, file), kept);
      return kept;
    });
}

async function configure(instance: Instance, sallyportCase: SallyportCase, context: ContenderContext): Promise<string> {
  const logPath = join(context.directory, 'log', 'access.log');
  mkdirSync(join(context.directory, 'log'));
  const upstreamUrl = `http://127.0.0.1:${context.upstreamPort}`;
  await waitFor(instance.child, `${instance.adminUrl}/livez`);
  await askAdmin(instance, 'PUT', '/v1/config?wait=applied', sallyportCase.buildDocument({ upstreamUrl, logPath }));
  await waitFor(instance.child, `${instance.statusUrl}/readyz`);
  const [request] = sallyportCase.requests;
  if (sallyportCase.hasPlugins && request !== undefined) await checkRefusal(instance, request.path);
  return logPath;
}

function defineCase(sallyportCase: SallyportCase): Contender {
  const { name, description, hasPlugins, requests } = sallyportCase;
  return {
    name,
    description,
    findObstacle: () => (existsSync(COMMAND) ? undefined : 'dist/cli/main.js is missing: run npm run build first'),
    async start(context) {
      const instance = await startInstance(context);
      try {
        const logPath = await configure(instance, sallyportCase, context);
        const workerPid = await readWorkerPid(instance);
        const keeperPid = readParentPid(workerPid);
        // Postgres, the admin and the parent go to the load's core; only the node stays on the gateway's.
        pinPids(readTree(instance.child.pid ?? 0), context.cores.load);
        pinPids(readTree(keeperPid), context.cores.gateway);
        return {
          port: instance.proxyPort,
          pid: keeperPid,
          requests,
          checkWork: (served) => (hasPlugins ? checkWork(instance, logPath, served) : Promise.resolve()),
          async close() {
            await stopProcess(instance.child);
            return keepProfiles(context.directory, name, workerPid);
          },
        };
      } catch (error) {
        await stopProcess(instance.child);
        throw error;
      }
    },
  };
}

/** Lists Sallyport's cases, ready to be measured. */
export const sallyportContenders: readonly Contender[] = SALLYPORT_CASES.map(defineCase);
