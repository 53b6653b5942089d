// Runs Sallyport as an operator would: `sallyport start` on an empty data directory, configured over the admin REST.
// Must not reach into the product: only its command, its environment, its REST and its status port.
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, createReadStream, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pinPids, readParentPid, readTree, startProcess, stopProcess } from '../processes.ts';
import type { Contender, ContenderContext } from './contender.ts';
import { SALLYPORT_CASES, type SallyportCase } from './sallyport-cases.ts';

const COMMAND = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const FREE_PORT = '127.0.0.1:0';
const TOKEN = 'bench-token-of-a-throw-away-instance';
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const LINE_FEED = 0x0a;

/** Is `ports.json` of the data directory: where a running Sallyport listens. Written when it is ready. */
interface Urls {
  readonly proxy: string;
  readonly admin: string;
  readonly status: string;
}

interface Instance {
  readonly child: ChildProcess;
  readonly urls: Urls;
}

async function startInstance({ directory, shouldProfile }: ContenderContext): Promise<Instance> {
  // Every process that `start` forks inherits these flags and writes a profile of its own.
  const flags = shouldProfile ? ['--cpu-prof', `--cpu-prof-dir=${join(directory, 'profiles')}`] : [];
  const dataDir = join(directory, 'data');
  const child = startProcess([process.execPath, ...flags, COMMAND, 'start'], {
    // Unpinned at first: the processes are moved to their cores when it is known which is which.
    core: undefined,
    env: {
      NODE_ENV: 'production',
      DATABASE_URL: '',
      SALLYPORT_DATA_DIR: dataDir,
      SALLYPORT_PROXY_LISTEN: FREE_PORT,
      SALLYPORT_ADMIN_LISTEN: FREE_PORT,
      SALLYPORT_STATUS_LISTEN: FREE_PORT,
      SALLYPORT_ADMIN_TOKEN: TOKEN,
      SALLYPORT_WORKERS: '1',
      SALLYPORT_LOG_LEVEL: 'warn',
    },
  });
  child.stdout?.resume();
  try {
    return { child, urls: await waitForUrls(child, join(dataDir, 'ports.json')) };
  } catch (error) {
    await stopProcess(child);
    throw error;
  }
}

async function waitForUrls(child: ChildProcess, portsFile: string): Promise<Urls> {
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (performance.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`sallyport ended with exit code ${child.exitCode}`);
    if (existsSync(portsFile)) return JSON.parse(readFileSync(portsFile, 'utf8')) as Urls;
    await wait(POLL_MS);
  }
  throw new Error('sallyport did not get ready');
}

async function askAdmin(instance: Instance, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${instance.urls.admin}${path}`, {
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

async function checkRefusal({ urls }: Instance, path: string): Promise<void> {
  const response = await fetch(`${urls.proxy}${path}`);
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
  const metrics = await (await fetch(`${instance.urls.status}/metrics`)).text();
  if (!/\{[^}]*orders/.test(metrics)) throw new Error('/metrics shows no series of the api');
}

/** Keeps the profiles of the node in the working directory: the scratch directory goes away. */
function keepProfiles(directory: string, name: string, pids: Readonly<Record<string, number>>): readonly string[] {
  const profiles = join(directory, 'profiles');
  const files = existsSync(profiles) ? readdirSync(profiles) : [];
  return Object.entries(pids).flatMap(([role, pid]) => {
    const file = files.find((candidate) => candidate.includes(`.${pid}.`));
    if (file === undefined) return [];
    const kept = resolve(`${name}-${role}.cpuprofile`);
    copyFileSync(join(profiles, file), kept);
    return [kept];
  });
}

async function configure(instance: Instance, sallyportCase: SallyportCase, context: ContenderContext): Promise<string> {
  const logPath = join(context.directory, 'log', 'access.log');
  mkdirSync(join(context.directory, 'log'));
  const upstreamUrl = `http://127.0.0.1:${context.upstreamPort}`;
  await askAdmin(instance, 'PUT', '/v1/config?wait=applied', sallyportCase.buildDocument({ upstreamUrl, logPath }));
  const [request] = sallyportCase.requests;
  if (sallyportCase.hasPlugins && request !== undefined) await checkRefusal(instance, request.path);
  return logPath;
}

function defineCase(sallyportCase: SallyportCase): Contender {
  const { name, description, hasPlugins, requests } = sallyportCase;
  return {
    name,
    description,
    findObstacle: () => undefined,
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
          port: Number(new URL(instance.urls.proxy).port),
          pid: keeperPid,
          requests,
          checkWork: (served) => (hasPlugins ? checkWork(instance, logPath, served) : Promise.resolve()),
          async close() {
            await stopProcess(instance.child);
            return keepProfiles(context.directory, name, { worker: workerPid, keeper: keeperPid });
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
