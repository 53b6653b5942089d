// Is `npm run fuzz`: throws cases at the wire for a given time, and stops at the first that shows something.
// Must not hold cases.
import { parseArgs } from 'node:util';
import { decoders } from './decoders.ts';
import { differential } from './differential.ts';
import { clientFrames, targetFrames } from './frames.ts';
import type { Group } from './group.ts';
import { createRandom } from './random.ts';
import { pipelining, requests } from './requests.ts';
import { responses, upgrades } from './responses.ts';

const GROUPS: readonly Group[] = [
  decoders,
  requests,
  pipelining,
  responses,
  upgrades,
  clientFrames,
  targetFrames,
  differential,
];
/** A gateway is started anew after so many cases, which also shows whether it closes. */
const CASES_PER_START = 500;
/** What a group may add to the memory of this process, which holds gateway, origin and clients. */
const MAX_GROWTH_MIB = 400;

const USAGE = `npm run fuzz -- [--seconds N] [--group NAME] [--seed N]

Throws generated messages at the wire of the gateway, and stops with exit code 1 at the first that hangs, crashes, reads
differently in pieces, reaches an upstream as something that is no request, or is passed on though everybody else refuses it.

  --seconds N   for each group (default 60)
  --group NAME  one of ${GROUPS.map(({ name }) => name).join(', ')} (default all)
  --seed N      of the first case (default: the time); a case is found again by its own seed
`;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function rssMib(): number {
  return Math.round(process.memoryUsage.rss() / 1_048_576);
}

/** Runs one group; gives false when it found something. */
async function runGroup(group: Group, seconds: number, firstSeed: number): Promise<boolean> {
  const obstacle = group.findObstacle?.();
  if (obstacle !== undefined) {
    say(`SKIPPED ${group.name}: ${obstacle}`);
    return true;
  }
  const startedMs = performance.now();
  const before = rssMib();
  let seed = firstSeed;
  let saidMs = startedMs;
  const isOver = (): boolean => performance.now() - startedMs >= seconds * 1_000;
  while (!isOver()) {
    const open = await group.open();
    try {
      for (let count = 0; count < CASES_PER_START && !isOver(); count++, seed = (seed + 1) >>> 0) {
        const finding = await open.run(createRandom(seed));
        if (finding !== undefined) {
          say(`FOUND in ${group.name}, --group ${group.name} --seed ${seed}:\n${finding}`);
          return false;
        }
        if (performance.now() - saidMs < 10_000) continue;
        saidMs = performance.now();
        say(`${group.name}: ${seed - firstSeed} cases, ${rssMib()} MiB`);
      }
    } finally {
      await open.close();
    }
  }
  const growth = rssMib() - before;
  say(
    `${group.name}: ${seed - firstSeed} cases in ${seconds} s, seeds from ${firstSeed}, memory ${growth} MiB more, nothing found`,
  );
  return growth <= MAX_GROWTH_MIB;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      group: { type: 'string' },
      seed: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    say(USAGE);
    return 0;
  }
  const seconds = Number(values.seconds);
  const seed = values.seed === undefined ? Date.now() >>> 0 : Number(values.seed);
  const chosen = GROUPS.filter(({ name }) => values.group === undefined || values.group === name);
  if (!(seconds > 0) || !Number.isInteger(seed) || chosen.length === 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  for (const fault of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(fault, (error) => {
      say(`FOUND: ${fault}: ${error instanceof Error ? error.stack : String(error)}`);
      process.exit(1);
    });
  }
  let isClean = true;
  for (const group of chosen) isClean = (await runGroup(group, seconds, seed)) && isClean;
  return isClean ? 0 : 1;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
