// How long a thread has worked: a limit by the wall clock would cut honest code on a machine that is busy with other things.
// Must not be asked more often than the look of a watcher: each answer is a read of /proc.
import { openSync, readSync } from 'node:fs';

/** Ticks in which Linux counts processor time for programs, on every architecture that Node runs on: USER_HZ. */
const TICK_MS = 10;
/** Where the system does not tell, a thread is thought to have had this part of a core. */
const PART_OF_CORE = 0.25;
const UTIME = 11;
const STIME = 12;

/** Gives milliseconds that a thread has worked; only differences mean something. */
export type HeldClock = () => number;

/** Makes the clock of a thread of this process. */
export function openHeldClock(thread: number): HeldClock {
  const byWall: HeldClock = () => performance.now() * PART_OF_CORE;
  try {
    const file = openSync(`/proc/self/task/${thread}/stat`, 'r');
    const buffer = Buffer.alloc(1_024);
    const read: HeldClock = () => readWorkedMs(buffer.toString('latin1', 0, readSync(file, buffer, 0, 1_024, 0)));
    return Number.isNaN(read()) ? byWall : read;
  } catch {
    return byWall;
  }
}

/** Reads user and system time, in milliseconds. @see proc_pid_stat(5) */
export function readWorkedMs(stat: string): number {
  // The name before may hold anything, also spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[UTIME]) + Number(fields[STIME])) * TICK_MS;
}
