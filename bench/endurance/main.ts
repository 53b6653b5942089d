// Is `npm run endure`: runs endurance cases one after the other, and says which bounds are kept.
// Must not hold anything about a single case.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findCores, readHandleLimit } from '../processes.ts';
import { describeMachine, findNoise } from '../report.ts';
import { type EnduranceCase, formatVerdict } from './case.ts';
import { idleConnections } from './idle-connections.ts';
import { hostilePlugins } from './marketplace/hostile-plugins.ts';
import { pluginChanges } from './marketplace/plugin-changes.ts';
import { readOptions, USAGE } from './options.ts';
import { slowLoris } from './slow-loris.ts';
import { slowReaders } from './slow-readers.ts';
import { soak } from './soak/soak.ts';
import { runCase, type StageOptions } from './stage.ts';

const CASES: readonly EnduranceCase[] = [slowReaders, idleConnections, slowLoris, soak, pluginChanges, hostilePlugins];

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function findCases(name: string): readonly EnduranceCase[] {
  if (name === 'all') return CASES;
  const found = CASES.filter((one) => one.name === name);
  if (found.length === 0) throw new Error(`--case must be ${CASES.map((one) => one.name).join(', ')} or all`);
  return found;
}

/** Gives how many bounds were not kept. */
async function runOne(one: EnduranceCase, shared: StageOptions): Promise<number> {
  say(`\n${one.name}: ${one.description}`);
  // Node raises the soft limit to the hard one by itself; the hard one is the operator's.
  if (readHandleLimit() < one.handles) {
    throw new Error(`${one.name} needs ${one.handles} handles in one process: raise the hard limit (ulimit -Hn)`);
  }
  const verdicts = await runCase(one, shared);
  for (const verdict of verdicts) say(formatVerdict(verdict));
  return verdicts.filter(({ holds }) => !holds).length;
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.isHelp) return say(USAGE);
  if (process.platform !== 'linux') throw new Error('memory and handles are read from /proc: this needs Linux');

  const cases = findCases(options.caseName);
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-endure-'));
  const shared: StageOptions = { options, cores: findCores(), directory, closers: [], say };
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, async () => {
      for (const close of shared.closers.reverse()) await close();
      process.exit(1);
    });
  }
  say([describeMachine(), findNoise()].filter((line) => line !== undefined).join('\n'));
  let broken = 0;
  for (const one of cases) broken += await runOne(one, shared);
  if (broken > 0) throw new Error(`${broken} of the bounds are not kept`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`endure: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
// A case that was given up may still wait for something.
process.exit();
