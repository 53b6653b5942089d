// Runs one table of the benchmark: starts upstream and gateways, checks their answers, measures them in rounds.
// Must not hold anything about a single gateway: contenders/ does.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Contender } from './contenders/contender.ts';
import { type BenchCertificate, writeCertificate } from './load/certificate.ts';
import type { LoadGenerator, LoadPlan } from './load/load.ts';
import { buildResult, type CaseResult, type Entrant, measureWindow } from './measure.ts';
import type { BenchOptions } from './options.ts';
import type { Cores } from './processes.ts';
import { describeProfile } from './profile.ts';
import type { Trial } from './suites/suite.ts';

/** Until a gateway's code is compiled: Node's proxies cost twice as much in their first ten thousand requests. */
const FIRST_WARM_UP_SECONDS = 8;
/** Until caches and what idled away between two windows, such as the leases of limits, are back. */
const WARM_UP_SECONDS = 3;
const PROFILE_LINES = 25;

/** Closes one thing. */
export type Closer = () => Promise<unknown> | unknown;

/** Is what one table is measured with. */
export interface TrialRun {
  readonly trial: Trial;
  readonly options: BenchOptions;
  readonly cores: Cores;
  /** Scratch directory of its own. */
  readonly directory: string;
  /** What has been opened, to be closed in reverse. */
  readonly closers: Closer[];
  say(line: string): void;
}

interface Opened extends TrialRun {
  readonly load: LoadGenerator;
  readonly upstreamPort: number;
  readonly certificate: BenchCertificate | undefined;
}

/** Picks the cases that are asked for and can run. */
function pickContenders({ trial, options, say }: TrialRun): readonly Contender[] {
  return trial.contenders.filter((contender) => {
    if (options.only.length > 0 && !options.only.includes(contender.name)) return false;
    const obstacle = contender.findObstacle();
    if (obstacle !== undefined) say(`SKIPPED ${contender.name}: ${obstacle}`);
    return obstacle === undefined;
  });
}

async function startEntrant(contender: Contender, run: Opened): Promise<Entrant> {
  const { trial, cores, upstreamPort, certificate, options, say } = run;
  const directory = join(run.directory, contender.name);
  mkdirSync(directory);
  const { shouldProfile } = options;
  const gateway = await contender.start({
    trial: trial.name,
    directory,
    cores,
    upstreamPort,
    certificate,
    shouldProfile,
  });
  run.closers.push(async () => {
    for (const path of await gateway.close())
      say(`\n${contender.name}: ${path}\n${describeProfile(path, PROFILE_LINES)}`);
  });
  await trial.checkAnswers(gateway, certificate);
  say(`started ${contender.name} (${contender.description})`);
  return { name: contender.name, gateway, directory, samples: [] };
}

async function measureRound(entrants: readonly Entrant[], round: number, run: Opened): Promise<void> {
  const { options, load, cores, certificate, say } = run;
  for (const entrant of entrants) {
    const { gateway, directory } = entrant;
    const plan: LoadPlan = {
      port: gateway.port,
      requests: gateway.requests,
      connections: options.connections,
      seconds: options.seconds,
      certificate: certificate?.certificate,
      directory,
      core: cores.load,
    };
    await load.run({ ...plan, seconds: round === 1 ? FIRST_WARM_UP_SECONDS : WARM_UP_SECONDS });
    const sample = await measureWindow(entrant, load, plan);
    entrant.samples.push(sample);
    const { cpuMicrosPerUnit, unitsPerSecond, failures } = sample;
    const failed = failures === 0 ? '' : `, ${failures} FAILED`;
    say(`round ${round} ${entrant.name}: ${cpuMicrosPerUnit.toFixed(1)} µs, ${unitsPerSecond.toFixed(0)}/s${failed}`);
  }
}

/** Measures one table. @throws Error when a gateway does not do what it should, or nothing is left to measure. */
export async function runTrial(run: TrialRun): Promise<readonly CaseResult[]> {
  const { trial, options, cores, directory, closers, say } = run;
  const load = trial.findLoad();
  const contenders = pickContenders(run);
  const upstream = await trial.startUpstream(join(directory, 'upstream'), cores.load);
  closers.push(upstream.close);
  const certificate = trial.isSecure ? writeCertificate(directory) : undefined;
  say(`load: ${load.description}; upstream: ${upstream.description}`);

  const opened: Opened = { ...run, load, upstreamPort: upstream.port, certificate };
  const entrants: Entrant[] = [];
  for (const contender of contenders) entrants.push(await startEntrant(contender, opened));
  for (let round = 1; round <= options.rounds; round += 1) await measureRound(entrants, round, opened);

  const results = entrants.map(({ name, samples }) => buildResult(name, samples));
  for (const [index, { gateway }] of entrants.entries()) {
    await trial.checkAnswers(gateway, certificate);
    await gateway.checkWork(results[index]?.units ?? 0);
  }
  return results;
}
