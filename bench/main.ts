// Is `npm run bench`: starts the gateways, checks their answers, measures them in rounds, prints the table.
// Must not hold anything about a single gateway: contenders/ does.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Contender } from './contenders/contender.ts';
import { nginx } from './contenders/nginx.ts';
import { fastify, httpProxy } from './contenders/node-proxies.ts';
import { sallyportContenders } from './contenders/sallyport.ts';
import { findLoadGenerator, type LoadGenerator, type LoadPlan } from './load/load.ts';
import { buildResult, type CaseResult, checkAnswers, type Entrant, measureWindow } from './measure.ts';
import { type BenchOptions, readOptions, USAGE } from './options.ts';
import { type Cores, findCores } from './processes.ts';
import { describeProfile } from './profile.ts';
import { buildTable, describeMachine, findNoise } from './report.ts';
import { startUpstream } from './upstream.ts';

/** Until a gateway's code is compiled: Node's proxies cost twice as much in their first ten thousand requests. */
const FIRST_WARM_UP_SECONDS = 8;
/** Until caches and what idled away between two windows, such as the leases of limits, are back. */
const WARM_UP_SECONDS = 3;
const PROFILE_LINES = 25;
const CONTENDERS: readonly Contender[] = [nginx, httpProxy, fastify, ...sallyportContenders];

type Closer = () => Promise<unknown> | unknown;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function findContenders(only: readonly string[]): readonly Contender[] {
  const unknown = only.filter((name) => !CONTENDERS.some((contender) => contender.name === name));
  if (unknown.length > 0) throw new Error(`--only names no case: ${unknown.join(', ')}`);
  return CONTENDERS.filter((contender) => {
    if (only.length > 0 && !only.includes(contender.name)) return false;
    const obstacle = contender.findObstacle();
    if (obstacle !== undefined) say(`SKIPPED ${contender.name}: ${obstacle}`);
    return obstacle === undefined;
  });
}

interface Run {
  readonly options: BenchOptions;
  readonly cores: Cores;
  readonly load: LoadGenerator;
  readonly directory: string;
  readonly upstreamPort: number;
  /** What has been opened, to be closed in reverse. */
  readonly closers: Closer[];
}

async function startEntrant(contender: Contender, run: Run): Promise<Entrant> {
  const directory = join(run.directory, contender.name);
  mkdirSync(directory);
  const { cores, upstreamPort } = run;
  const gateway = await contender.start({ directory, cores, upstreamPort, shouldProfile: run.options.shouldProfile });
  run.closers.push(async () => {
    for (const path of await gateway.close())
      say(`\n${contender.name}: ${path}\n${describeProfile(path, PROFILE_LINES)}`);
  });
  await checkAnswers(gateway);
  say(`started ${contender.name} (${contender.description})`);
  return { name: contender.name, gateway, directory, samples: [] };
}

async function measureRound(entrants: readonly Entrant[], round: number, run: Run): Promise<void> {
  const { options, load, cores } = run;
  for (const entrant of entrants) {
    const { gateway, directory } = entrant;
    const plan: LoadPlan = {
      port: gateway.port,
      requests: gateway.requests,
      connections: options.connections,
      seconds: options.seconds,
      directory,
      core: cores.load,
    };
    await load.run({ ...plan, seconds: round === 1 ? FIRST_WARM_UP_SECONDS : WARM_UP_SECONDS });
    const sample = await measureWindow(entrant, load, plan);
    entrant.samples.push(sample);
    const { cpuMicrosPerRequest, requestsPerSecond, failures } = sample;
    const failed = failures === 0 ? '' : `, ${failures} FAILED`;
    say(
      `round ${round} ${entrant.name}: ${cpuMicrosPerRequest.toFixed(1)} µs, ${requestsPerSecond.toFixed(0)}/s${failed}`,
    );
  }
}

async function measureAll(run: Run): Promise<readonly CaseResult[]> {
  const entrants: Entrant[] = [];
  for (const contender of findContenders(run.options.only)) entrants.push(await startEntrant(contender, run));
  for (let round = 1; round <= run.options.rounds; round += 1) await measureRound(entrants, round, run);

  const results = entrants.map(({ name, samples }) => buildResult(name, samples));
  for (const [index, { gateway }] of entrants.entries()) {
    await checkAnswers(gateway);
    await gateway.checkWork(results[index]?.requests ?? 0);
  }
  return results;
}

async function closeAll(closers: Closer[]): Promise<void> {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
}

function describeRun({ options, cores, load }: Run, upstream: string): string {
  const pinning =
    cores.gateway === undefined
      ? 'NOT PINNED: needs two cores and taskset'
      : `gateway on core ${cores.gateway}, load and upstream on core ${cores.load}`;
  const machine = [describeMachine(), findNoise()].filter((line) => line !== undefined).join('\n');
  return `${machine}
load: ${load.description}, ${options.connections} kept-alive connections; upstream: ${upstream}; ${pinning}
${options.rounds} rounds of ${options.seconds} s each; medians, ratios taken within a round\n`;
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.isHelp) return say(USAGE);
  if (process.platform !== 'linux') throw new Error('CPU time per request is read from /proc: this needs Linux');

  const closers: Closer[] = [];
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => closeAll(closers).finally(() => process.exit(1)));
  }
  try {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
    closers.push(() => rmSync(directory, { recursive: true, force: true }));
    const [cores, load] = [findCores(), findLoadGenerator()];
    const upstream = await startUpstream(directory, cores.load);
    closers.push(upstream.close);
    const run: Run = { options, cores, load, directory, upstreamPort: upstream.port, closers };
    const description = describeRun(run, upstream.description);
    say(description);

    const results = await measureAll(run);
    say(`\n${buildTable(results)}`);
    if (options.jsonFile !== undefined) {
      writeFileSync(options.jsonFile, `${JSON.stringify({ description, options, results }, null, 2)}\n`);
    }
    if (results.some(({ failures }) => failures > 0)) throw new Error('some requests failed: the figures do not count');
  } finally {
    await closeAll(closers);
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
