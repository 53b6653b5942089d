// The file that the thread beside a worker's main thread runs: looks which hook has that thread, and cuts one that keeps it.
// Must not load more than it needs: there is one in every worker.
import { Session } from 'node:inspector';
import { parentPort, workerData } from 'node:worker_threads';
import { CUT, LIMIT_MS, RUNNING } from '../../../../core/hooks/watch.ts';
import { cutHolder } from './held-by.ts';
import { openHeldClock } from './held-clock.ts';
import { ANSWERED, type CutterData, type FromCutter } from './messages.ts';

const LOOK_MS = 50;
/** No hook may keep the thread longer, whatever it may take in all: after 5 s in silence the keeper ends the process. */
const MAX_HELD_MS = 2_500;
/** How long code may keep the event loop from turning that no hook returns to: what runs after an await. */
const MAX_LOOP_MS = 1_000;
/** How often a thread that works is asked whether its event loop turns, in looks, and what it must have worked meanwhile. */
const DOUBT_LOOKS = 5;
const DOUBT_MS = 50;
/** How often it is told that a hook was cut until it is dealt with, in looks. */
const TELL_LOOKS = 4;

const { cells, mainThread, folders } = workerData as CutterData;
const readHeldMs = openHeldClock(mainThread);
let seen = 0;
let seenMs = 0;
let looks = 0;
let workedMs = readHeldMs();
let questions = 0;
/** Undefined = no question is open. */
let askedMs: number | undefined;

function tell(message: FromCutter): void {
  parentPort?.postMessage(message);
}

function look(): void {
  looks++;
  const cut = Atomics.load(cells, CUT);
  if (cut !== 0) {
    if (looks % TELL_LOOKS === 0) tell({ kind: 'cut', number: cut });
    return;
  }
  watchLoop();
  const running = Atomics.load(cells, RUNNING);
  if (running !== seen) {
    seen = running;
    if (running !== 0) seenMs = readHeldMs();
    return;
  }
  if (running === 0) return;
  const limitMs = Math.min(Atomics.load(cells, LIMIT_MS), MAX_HELD_MS);
  if (readHeldMs() - seenMs >= limitMs && Atomics.load(cells, RUNNING) === running) cutHook(running);
}

/** Unwinds whatever the main thread runs: no line of it runs any more, and its event loop goes on. */
function cutHook(number: number): void {
  looks = 0;
  Atomics.store(cells, CUT, number);
  const session = new Session();
  session.connectToMainThread();
  session.post('Runtime.terminateExecution', () => {
    session.disconnect();
    tell({ kind: 'cut', number });
  });
}

/** Asks a thread that works whether its event loop turns, and cuts what holds it when no answer comes. */
function watchLoop(): void {
  if (askedMs === undefined) {
    if (looks % DOUBT_LOOKS !== 0) return;
    const beforeMs = workedMs;
    workedMs = readHeldMs();
    if (workedMs - beforeMs < DOUBT_MS) return;
    askedMs = workedMs;
    questions++;
    tell({ kind: 'question', number: questions });
    return;
  }
  if (Atomics.load(cells, ANSWERED) === questions) {
    askedMs = undefined;
    return;
  }
  // A hook that is marked has its own limit.
  if (Atomics.load(cells, RUNNING) !== 0 || readHeldMs() - askedMs < MAX_LOOP_MS) return;
  askedMs = undefined;
  const session = new Session();
  session.connectToMainThread();
  cutHolder({
    session,
    folders,
    isHeld: () => Atomics.load(cells, ANSWERED) !== questions && Atomics.load(cells, RUNNING) === 0,
    onDone: (holder) => holder && tell({ kind: 'holder', ...holder }),
  });
}

function start(): void {
  const timer = setInterval(() => {
    try {
      look();
    } catch (error) {
      clearInterval(timer);
      tell({ kind: 'unable', reason: error instanceof Error ? error.message : String(error) });
    }
  }, LOOK_MS);
}

start();
