// Drives the acts of a soak: as fast as they go, to learn what the gateway can do, or at a rate.
// Must not judge the gateway.
import { findPercentile } from '../../load/tally.ts';
import { type Line, openLine } from '../line.ts';
import { startPace } from '../pace.ts';
import { ask, converse, createRandom, leave, post, postChunks, type Random } from './acts.ts';

const LINES = 64;
/** Due acts that wait for a connection. */
const MOST_WAITING = 20_000;
const SEED = 20_261_123;
/** Of 100 acts. */
const MIX = { posts: 8, chunkedPosts: 6, departures: 3, conversations: 3 };

/** Is what was done since the last look. */
export interface SoakCount {
  readonly acts: number;
  readonly failures: number;
  /** Acts left out because too many were due already: gateway or harness did not keep up. */
  readonly leftOut: number;
  /** Why the last one failed. */
  readonly lastFault: string | undefined;
  readonly p99Ms: number;
}

/** Is traffic that goes on until it is stopped. */
export interface SoakTraffic {
  take(): SoakCount;
  /** Stops, and waits until what is under way is done. */
  stop(): Promise<void>;
}

interface Act {
  readonly name: string;
  run(line: Line): Promise<boolean>;
}

function pickAct(port: number, random: Random): Act {
  const dice = random(100);
  const { posts, chunkedPosts, departures, conversations } = MIX;
  if (dice < posts) return { name: 'post', run: (line) => post(line, random) };
  if (dice < posts + chunkedPosts) return { name: 'chunked post', run: (line) => postChunks(line, random) };
  if (dice < posts + chunkedPosts + departures) return { name: 'departure', run: () => leave(port, random) };
  if (dice < posts + chunkedPosts + departures + conversations) {
    return { name: 'upgrade', run: () => converse(port, random) };
  }
  return { name: 'get', run: (line) => ask(line, random) };
}

/** Starts the mix over kept-alive connections; `perSecond` undefined = each act as soon as a connection is free. */
export async function startSoakTraffic(port: number, perSecond: number | undefined): Promise<SoakTraffic> {
  const random = createRandom(SEED);
  const idle = await Promise.all(Array.from({ length: LINES }, () => openLine({ port })));
  const due: number[] = [];
  let [isStopped, underWay, acts, failures, leftOut] = [false, 0, 0, 0, 0];
  let lastFault: string | undefined;
  let latencies: number[] = [];

  const fail = (fault: string): void => {
    failures += 1;
    lastFault = fault;
  };
  const perform = async (line: Line, dueMs: number): Promise<void> => {
    const act = pickAct(port, random);
    underWay += 1;
    let free: Line | undefined = line;
    let isBroken = false;
    try {
      if (!(await act.run(line))) fail(`${act.name}: another answer`);
    } catch (error) {
      fail(`${act.name}: ${error instanceof Error ? error.message : String(error)}`);
      line.close();
      isBroken = true;
    }
    // An answer may say that it is the last one on its connection, as it does after very many.
    if (isBroken || !line.isOpen) free = await openLine({ port }).catch(() => undefined);
    acts += 1;
    underWay -= 1;
    latencies.push(performance.now() - dueMs);
    if (free) idle.push(free);
    goOn();
  };
  const goOn = (): void => {
    if (isStopped || idle.length === 0) return;
    const dueMs = perSecond === undefined ? performance.now() : due.shift();
    const line = dueMs === undefined ? undefined : idle.pop();
    if (dueMs !== undefined && line) void perform(line, dueMs);
  };
  const stopPace =
    perSecond === undefined
      ? () => {}
      : startPace(perSecond, (dueMs) => {
          if (due.length < MOST_WAITING) due.push(dueMs);
          else leftOut += 1;
          goOn();
        });
  if (perSecond === undefined) for (let line = 0; line < LINES; line += 1) goOn();

  return {
    take() {
      const p99Ms = findPercentile(Float64Array.from(latencies).sort(), 0.99);
      const count = { acts, failures, leftOut, lastFault, p99Ms };
      latencies = [];
      [acts, failures, leftOut, lastFault] = [0, 0, 0, undefined];
      return count;
    },
    async stop() {
      isStopped = true;
      stopPace();
      while (underWay > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      for (const line of idle) line.close();
    },
  };
}
