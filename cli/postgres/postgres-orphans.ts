// Ends what a killed Sallyport left running in its Postgres data directory, so that it can start again.
// Must not signal a process that is not surely the Postgres of that very directory.
import { execFile } from 'node:child_process';
import { readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from '../../gateway/core/plugin.ts';

const run = promisify(execFile);

/** Each step is harder than the one before: finish cleanly, drop everything and recover at the next start, be killed. */
const STEPS = [
  { signal: 'SIGINT', waitMs: 8_000 },
  { signal: 'SIGQUIT', waitMs: 5_000 },
  { signal: 'SIGKILL', waitMs: 2_000 },
] as const;

const POLL_MS = 20;

/**
 * Stops an orphaned Postgres of `clusterDir` and takes away a stale postmaster.pid that would block the next one.
 * @throws Error when the orphan does not end.
 */
export async function stopOrphans(clusterDir: string, log: Logger): Promise<void> {
  const pidFile = join(clusterDir, 'postmaster.pid');
  const postmaster = Number((await readFile(pidFile, 'utf8').catch(() => '')).split('\n')[0]);
  if (!Number.isSafeInteger(postmaster) || postmaster <= 0) return;

  for (const { signal, waitMs } of STEPS) {
    const orphans = await findPostgres(clusterDir, postmaster);
    if (orphans.length === 0) break;
    log.warn('stopping the Postgres that an earlier run left behind', { pids: orphans, signal });
    // The postmaster ends its children itself; without it they end one by one.
    for (const pid of orphans.includes(postmaster) ? [postmaster] : orphans) kill(pid, signal);
    await waitForEnd(clusterDir, postmaster, waitMs);
  }
  const left = await findPostgres(clusterDir, postmaster);
  if (left.length > 0) throw new Error(`an earlier Postgres (pid ${left.join(', ')}) does not end; end it by hand`);
  // Postgres sees by itself that the pid is dead, but not that it was given to a stranger since.
  if (isAlive(postmaster)) await rm(pidFile, { force: true });
}

async function waitForEnd(clusterDir: string, postmaster: number, waitMs: number): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (performance.now() < deadline && (await findPostgres(clusterDir, postmaster)).length > 0) await delay(POLL_MS);
}

/** Gives the pids of every Postgres process, postmaster or child, that works in `clusterDir`. */
async function findPostgres(clusterDir: string, postmaster: number): Promise<number[]> {
  if (process.platform !== 'linux') return (await isPostmasterByPs(postmaster, clusterDir)) ? [postmaster] : [];
  const cluster = await stat(clusterDir);
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      // Every Postgres process changes to its data directory; the magic link leads there whatever the path is now.
      const cwd = await stat(`/proc/${entry}/cwd`);
      if (cwd.ino !== cluster.ino || cwd.dev !== cluster.dev) continue;
      const program = basename(await readlink(`/proc/${entry}/exe`));
      if (/^postgres( \(deleted\))?$/.test(program)) found.push(Number(entry));
    } catch {
      // Gone since, a zombie, or another user's: none of ours.
    }
  }
  return found;
}

async function isPostmasterByPs(pid: number, clusterDir: string): Promise<boolean> {
  const { stdout } = await run('ps', ['-o', 'command=', '-p', String(pid)]).catch(() => ({ stdout: '' }));
  return /\bpostgres\b/.test(stdout) && stdout.includes(clusterDir);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself meanwhile.
  }
}
