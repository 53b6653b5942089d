// Runs the cases of Sallyport, and checks that their plugins did their work.
// Must not hold what a case is configured with: sallyport-cases.ts does.
import { copyFileSync, createReadStream, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Contender, type ContenderContext, PLAIN_REQUESTS } from './contender.ts';
import { PLAIN_CASE, SALLYPORT_CASES, type SallyportCase } from './sallyport-cases.ts';
import { type SallyportInstance, startSallyport } from './sallyport-instance.ts';

const LINE_FEED = 0x0a;

/** Names what differs from the plain proxy over HTTP/1.1. */
export interface WireOptions {
  readonly description: string;
  /** How the target is spoken to; `http` by default. */
  readonly upstreamScheme?: string;
  readonly requests?: SallyportCase['requests'];
}

async function checkRefusal({ urls }: SallyportInstance, path: string): Promise<void> {
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

async function checkWork(instance: SallyportInstance, logPath: string, requestsServed: number): Promise<void> {
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

async function configure(
  instance: SallyportInstance,
  sallyportCase: SallyportCase,
  context: ContenderContext,
): Promise<string> {
  const { directory, upstreamPort, certificate } = context;
  const { upstreamScheme = 'http', hasPlugins, requests } = sallyportCase;
  const logPath = join(directory, 'log', 'access.log');
  mkdirSync(join(directory, 'log'));
  const upstreamUrl = `${upstreamScheme}://127.0.0.1:${upstreamPort}`;
  await instance.ask('PUT', '/v1/config?wait=applied', sallyportCase.buildDocument({ upstreamUrl, logPath }));
  if (certificate) {
    const { certificate: chain, privateKey } = certificate;
    const body = { name: 'bench', certificate: chain, privateKey };
    await instance.ask('POST', '/v1/certificates?wait=applied', body);
  }
  const [request] = requests;
  if (hasPlugins && request !== undefined) await checkRefusal(instance, request.path);
  return logPath;
}

async function startCase({ directory, shouldProfile, certificate }: ContenderContext): Promise<SallyportInstance> {
  // Every process that `start` forks inherits these flags and writes a profile of its own.
  const flags = shouldProfile ? ['--cpu-prof', `--cpu-prof-dir=${join(directory, 'profiles')}`] : [];
  const env: Record<string, string> = certificate ? { SALLYPORT_PROXY_TLS_LISTEN: '127.0.0.1:0' } : {};
  const instance = await startSallyport({ directory, flags, env });
  if (certificate === undefined || instance.urls.proxyTls !== undefined) return instance;
  await instance.close();
  throw new Error('this Sallyport does not listen with TLS');
}

function defineCase(sallyportCase: SallyportCase): Contender {
  const { name, description, hasPlugins, requests } = sallyportCase;
  return {
    name,
    description,
    findObstacle: () => undefined,
    async start(context) {
      const instance = await startCase(context);
      try {
        const logPath = await configure(instance, sallyportCase, context);
        // Postgres, the admin and the parent go to the load's core; only the node stays on the gateway's.
        instance.pin(context.cores);
        const { urls, workerPid, keeperPid } = instance;
        return {
          port: Number(new URL(context.certificate ? (urls.proxyTls ?? '') : urls.proxy).port),
          pid: keeperPid,
          requests,
          checkWork: (served) => (hasPlugins ? checkWork(instance, logPath, served) : Promise.resolve()),
          async close() {
            await instance.close();
            return keepProfiles(context.directory, `${context.trial}-${name}`, {
              worker: workerPid,
              keeper: keeperPid,
            });
          },
        };
      } catch (error) {
        await instance.close();
        throw error;
      }
    },
  };
}

/** Lists Sallyport's cases of ordinary requests, ready to be measured. */
export const sallyportContenders: readonly Contender[] = SALLYPORT_CASES.map(defineCase);

/** Defines Sallyport with one api and no plugin on another wire. */
export function definePlain({ description, upstreamScheme = 'http', requests }: WireOptions): Contender {
  return defineCase({ ...PLAIN_CASE, description, upstreamScheme, requests: requests ?? PLAIN_REQUESTS });
}
