// Is `npm run bench`: measures the tables of a suite one after the other, and prints them.
// Must not hold anything about a single gateway or table: contenders/ and suites/ do.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CaseResult } from './measure.ts';
import { type BenchOptions, readOptions, USAGE } from './options.ts';
import { type Cores, findCores } from './processes.ts';
import { buildTable, describeMachine, findNoise } from './report.ts';
import { benchSandbox } from './sandbox.ts';
import { findTrials } from './suites/all.ts';
import type { Trial } from './suites/suite.ts';
import { type Closer, runTrial } from './trial.ts';

/** Is a table as `--json` keeps it. */
interface TrialResult {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly results: readonly CaseResult[];
}

interface Run {
  readonly options: BenchOptions;
  readonly cores: Cores;
  readonly directory: string;
  /** What the table under way has opened, to be closed in reverse. */
  readonly closers: Closer[];
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function closeAll(closers: Closer[]): Promise<void> {
  for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
}

function describeRun({ options, cores }: Run): string {
  const pinning =
    cores.gateway === undefined
      ? 'NOT PINNED: needs two cores and taskset'
      : `gateway on core ${cores.gateway}, load and upstream on core ${cores.load}`;
  const machine = [describeMachine(), findNoise()].filter((line) => line !== undefined).join('\n');
  return `${machine}
${options.connections} connections; ${pinning}
${options.rounds} rounds of ${options.seconds} s each; medians, ratios taken within a round\n`;
}

function checkOnly(only: readonly string[], trials: readonly Trial[]): void {
  const names = new Set(trials.flatMap(({ contenders }) => contenders.map(({ name }) => name)));
  const unknown = only.filter((name) => !names.has(name));
  if (unknown.length > 0) throw new Error(`--only names no case of this suite: ${unknown.join(', ')}`);
}

/** Measures and prints one table. */
async function measure(trial: Trial, { options, cores, directory, closers }: Run): Promise<TrialResult> {
  const { name, title, unit, baselines } = trial;
  say(`\n${name}: ${title}`);
  const own = join(directory, name);
  mkdirSync(own);
  try {
    const results = await runTrial({ trial, options, cores, directory: own, closers, say });
    say(`\n${buildTable(results, { unit, baselines })}`);
    return { name, title, unit, results };
  } finally {
    await closeAll(closers);
  }
}

async function measureAll(trials: readonly Trial[], run: Run, description: string): Promise<void> {
  const tables: TrialResult[] = [];
  const faults: string[] = [];
  for (const trial of trials) {
    // What one table cannot measure says nothing about the others.
    try {
      const table = await measure(trial, run);
      tables.push(table);
      if (table.results.some(({ failures }) => failures > 0)) {
        faults.push(`${trial.name}: some ${trial.unit}s failed: the figures do not count`);
      }
    } catch (error) {
      faults.push(`${trial.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const { jsonFile } = run.options;
  if (jsonFile !== undefined) {
    writeFileSync(jsonFile, `${JSON.stringify({ description, options: run.options, tables }, null, 2)}\n`);
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.isHelp) return say(USAGE);
  if (options.suite === 'sandbox') {
    say(describeMachine());
    return benchSandbox(options.rounds, say);
  }
  if (process.platform !== 'linux') throw new Error('CPU time is read from /proc: this needs Linux');

  const trials = findTrials(options.suite);
  checkOnly(options.only, trials);
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-bench-'));
  const run: Run = { options, cores: findCores(), directory, closers: [] };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () =>
      closeAll(run.closers).finally(() => {
        rmSync(directory, { recursive: true, force: true });
        process.exit(1);
      }),
    );
  }
  try {
    const description = describeRun(run);
    say(description);
    await measureAll(trials, run, description);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

try {
  await main();
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
