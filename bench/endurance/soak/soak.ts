// Runs mixed traffic through all of the busy plugins for a long time, at 70 % of what the worker can do: nothing may grow.
// Must not run faster when the gateway gets slower: the rate is found once.
import { mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { buildFull } from '../../contenders/sallyport-cases.ts';
import { findMedian } from '../../measure.ts';
import { countHandles, readCpuMs, readRssBytes } from '../../processes.ts';
import { startHttpUpstream, startMixedUpstream } from '../../suites/upstream.ts';
import { type EnduranceCase, judgeMost, type Stage } from '../case.ts';
import { publishApis } from '../stage.ts';
import { findSlope, startWatch } from '../statistics.ts';
import { type SoakTraffic, startSoakTraffic } from './traffic.ts';

const SHARE = 0.7;
const HARNESS_SHARE = 0.75;
const WARM_UP_MS = 10_000;
const CAPACITY_MS = 10_000;
const MINUTE_MS = 60_000;
const LOOK_MS = 1_000;
/** Minutes in which memory may find its size. */
const SETTLE_MINUTES = 5;
/** In fewer, one full garbage collection more or less is a slope. */
const FEWEST_MINUTES = 5;
const MOST_MIB_PER_MINUTE = 1;
const MOST_HANDLES_PER_MINUTE = 1;
/** Kept-alive connections to targets are closed when they were idle for two looks of a minute. */
const AFTERMATH_MS = 150_000;
const BYTES_PER_MIB = 1_048_576;

interface Minute {
  readonly failures: number;
  readonly leftOut: number;
  readonly rssMib: number;
  readonly handles: number;
}

/** Finds the acts a second of which the gateway's core would be full. */
async function findCapacity({ port, instance, say }: Stage): Promise<number> {
  const traffic = await startSoakTraffic(port, undefined);
  await wait(WARM_UP_MS);
  traffic.take();
  const cpuBeforeMs = readCpuMs(instance.keeperPid);
  const startedAt = performance.now();
  await wait(CAPACITY_MS);
  const tookMs = performance.now() - startedAt;
  const share = (readCpuMs(instance.keeperPid) - cpuBeforeMs) / tookMs;
  const rate = (traffic.take().acts * 1000) / tookMs;
  await traffic.stop();
  const capacity = rate / share;
  say(`as fast as it goes: ${rate.toFixed(0)} acts/s at ${(share * 100).toFixed(0)} % of a core`);
  // The harness may be slower than the gateway: then it does what it can keep up.
  return Math.min(capacity, (rate * HARNESS_SHARE) / SHARE);
}

async function measureMinute(traffic: SoakTraffic, index: number, { instance, say }: Stage): Promise<Minute> {
  const { keeperPid } = instance;
  const rss = startWatch(LOOK_MS, () => readRssBytes(keeperPid) / BYTES_PER_MIB);
  const open = startWatch(LOOK_MS, () => countHandles(keeperPid));
  const cpuBeforeMs = readCpuMs(keeperPid);
  const startedAt = performance.now();
  await wait(MINUTE_MS);
  const tookMs = performance.now() - startedAt;
  rss.stop();
  open.stop();
  const { acts, failures, leftOut, lastFault, p99Ms } = traffic.take();
  const [rssMib, handles] = [findMedian(rss.take()), findMedian(open.take())];
  const core = ((readCpuMs(keeperPid) - cpuBeforeMs) / tookMs) * 100;
  const rate = ((acts * 1000) / tookMs).toFixed(0);
  const fault = lastFault === undefined ? '' : ` (${lastFault})`;
  say(
    `minute ${String(index).padStart(2)}: ${rate} acts/s, ${core.toFixed(0)} % of the core, p99 ${p99Ms.toFixed(1)} ms, RSS ${rssMib.toFixed(1)} MiB, ${handles} handles, ${failures} failed${fault}${leftOut === 0 ? '' : `, ${leftOut} left out`}`,
  );
  return { failures, leftOut, rssMib, handles };
}

/** Waits until no more is open than before; gives how much more there is in the end. */
async function findLeftOpen(keeperPid: number, before: number): Promise<number> {
  const deadline = performance.now() + AFTERMATH_MS;
  for (;;) {
    const left = countHandles(keeperPid) - before;
    if (left <= 0 || performance.now() > deadline) return Math.max(0, left);
    await wait(LOOK_MS);
  }
}

async function publish(stage: Stage): Promise<string> {
  const { directory, cores } = stage;
  const upstream = await startHttpUpstream(join(directory, 'upstream'), cores.load);
  stage.defer(upstream.close);
  const mixed = await startMixedUpstream(cores.load);
  stage.defer(mixed.close);
  const logPath = join(directory, 'log', 'access.log');
  mkdirSync(join(directory, 'log'));
  await publishApis(stage, { orders: upstream.port, mixed: mixed.port }, buildFull(logPath));
  return logPath;
}

async function run(stage: Stage): ReturnType<EnduranceCase['run']> {
  const { instance, port, options, say } = stage;
  const logPath = await publish(stage);
  const handlesBefore = countHandles(instance.keeperPid);
  const perSecond = (await findCapacity(stage)) * SHARE;
  say(`${options.minutes} minutes at ${perSecond.toFixed(0)} acts/s`);
  const traffic = await startSoakTraffic(port, perSecond);
  const minutes: Minute[] = [];
  for (let index = 1; index <= options.minutes; index += 1) {
    minutes.push(await measureMinute(traffic, index, stage));
    // A day's log would fill the disk; the file is opened to append.
    truncateSync(logPath);
  }
  await traffic.stop();
  const left = await findLeftOpen(instance.keeperPid, handlesBefore);

  const settled = minutes.slice(Math.min(SETTLE_MINUTES, Math.floor(options.minutes / 3)));
  if (settled.length < FEWEST_MINUTES) say(`${settled.length} minutes are too few: their slopes are noise`);
  const sum = (field: 'failures' | 'leftOut'): number => minutes.reduce((total, minute) => total + minute[field], 0);
  const rssSlope = findSlope(settled.map(({ rssMib }) => rssMib));
  const handleSlope = findSlope(settled.map(({ handles }) => handles));
  const over = `over the last ${settled.length} minutes`;
  return [
    judgeMost(`RSS slope ${over}`, rssSlope, MOST_MIB_PER_MINUTE, ' MiB/min'),
    judgeMost(`slope of open handles ${over}`, Math.abs(handleSlope), MOST_HANDLES_PER_MINUTE, '/min'),
    judgeMost('handles left open after the traffic', left, 0),
    judgeMost('acts that failed', sum('failures'), 0),
    judgeMost('acts left out because those before were late', sum('leftOut'), 0),
  ];
}

/** Is the case. */
export const soak: EnduranceCase = {
  name: 'soak',
  description: `GET, bodies, chunks, departures and upgrades at ${SHARE * 100} % of what the worker can do`,
  handles: 4_096,
  run,
};
