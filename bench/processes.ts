// Starts, pins and stops the processes of a benchmark, and reads their CPU time and memory from Linux's /proc.
// Must not know what any of them does.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';

/** Linux shows CPU time to user space in ticks of 1/100 s on every platform (USER_HZ). */
const MS_PER_TICK = 10;
/** A process that has not stopped after this long is killed. */
const STOP_TIMEOUT_MS = 20_000;
/** A process that has not reported its port after this long has failed. */
const START_TIMEOUT_MS = 30_000;

/** Is a CPU core to run on; undefined = wherever the scheduler likes. */
export type Core = number | undefined;

/** Names the cores of a run: the gateway under test alone on one, load generator and upstream on the other. */
export interface Cores {
  readonly gateway: Core;
  readonly load: Core;
}

/** Describes how a process is started. */
export interface StartOptions {
  readonly core: Core;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Is what /proc says of one process. */
export interface ProcessStat {
  readonly parentPid: number;
  /** User and system time, with that of children that have ended and were waited for. */
  readonly cpuMs: number;
}

/** Says whether a program answers when it is started. */
export function isInstalled(program: string, versionFlag: string): boolean {
  return spawnSync(program, [versionFlag], { stdio: 'ignore' }).error === undefined;
}

/** Chooses the cores: 0 and 1 when there are two and `taskset` can pin to them, else none. */
export function findCores(): Cores {
  if (availableParallelism() < 2 || !isInstalled('taskset', '--version'))
    return { gateway: undefined, load: undefined };
  return { gateway: 0, load: 1 };
}

/** Gives the command that runs `command` on `core` alone; taskset replaces itself, so the process id is the program's. */
function pinned(command: readonly string[], core: Core): readonly string[] {
  return core === undefined ? command : ['taskset', '--cpu-list', String(core), ...command];
}

/** Starts a process with stdin and stdout piped. A program of ours ends when its stdin does: no orphan outlives us. */
export function startProcess(command: readonly string[], options: StartOptions): ChildProcess {
  const [program = '', ...args] = pinned(command, options.core);
  return spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
}

/** Waits for the line `listening PORT` that the harness's own servers print. @throws Error when the process ends first. */
export async function readPort(child: ChildProcess): Promise<number> {
  const { stdout } = child;
  if (stdout === null) throw new Error('the process has no stdout');
  const lines = createInterface({ input: stdout });
  const signal = AbortSignal.timeout(START_TIMEOUT_MS);
  const [line] = await Promise.race([
    once(lines, 'line', { signal }),
    once(child, 'exit', { signal }).then(([code]) => [`ended with exit code ${code}`]),
  ]);
  const port = /^listening (\d+)$/.exec(String(line))?.[1];
  if (port === undefined) throw new Error(`expected "listening PORT" from the process, got: ${line}`);
  return Number(port);
}

/** Ends a process: `signal`, and SIGKILL when it does not listen. */
export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  const killer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(killer);
}

/** Ends a process and all that descends from it at once. */
export async function killTree(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, 'exit');
  for (const pid of readTree(child.pid)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended with its parent.
    }
  }
  await ended;
}

/** Finds a port that is free now, for programs that cannot choose one themselves. */
export async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('the system gave no port');
  return address.port;
}

/** Reads one /proc/PID/stat. The name in parentheses may itself hold spaces and parentheses. */
export function readStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
  return { parentPid: Number(fields[1]), cpuMs: ticks * MS_PER_TICK };
}

function findStat(pid: number): ProcessStat | undefined {
  try {
    return readStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return undefined; // It ended between the listing and the reading.
  }
}

/** Tells the parent of a running process. @throws Error when there is no such process. */
export function readParentPid(pid: number): number {
  const stat = findStat(pid);
  if (stat === undefined) throw new Error(`there is no process ${pid}`);
  return stat.parentPid;
}

/** Lists a process and all that descends from it. */
export function readTree(rootPid: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const parentPid = findStat(Number(entry))?.parentPid;
    if (parentPid !== undefined) children.set(parentPid, [...(children.get(parentPid) ?? []), Number(entry)]);
  }
  const tree = [rootPid];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/** Sums the CPU time of a process tree, in milliseconds. */
export function readCpuMs(rootPid: number): number {
  return readTree(rootPid).reduce((sum, pid) => sum + (findStat(pid)?.cpuMs ?? 0), 0);
}

/** Sums the resident memory of a process tree, in bytes; pages shared by two processes count twice. */
export function readRssBytes(rootPid: number): number {
  return readTree(rootPid).reduce((sum, pid) => sum + unlessEnded(() => readRss(pid)), 0);
}

/** Counts what a process tree has open: files, sockets, pipes. */
export function countHandles(rootPid: number): number {
  return readTree(rootPid).reduce((sum, pid) => sum + unlessEnded(() => readdirSync(`/proc/${pid}/fd`).length), 0);
}

/** Says whether a process still runs. */
export function isRunning(pid: number): boolean {
  return findStat(pid) !== undefined;
}

function readRss(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib ?? 0) * 1024;
}

/** Gives 0 for a process that ended between the listing and the reading. */
function unlessEnded(read: () => number): number {
  try {
    return read();
  } catch {
    return 0;
  }
}

/** Tells how many handles this process and its children may have each, once they have raised their soft limit as Node does. */
export function readHandleLimit(): number {
  return readHardLimit(readFileSync('/proc/self/limits', 'utf8'));
}

/** Reads the hard limit of open files out of one /proc/PID/limits. */
export function readHardLimit(text: string): number {
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(text)?.[1];
  return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard ?? 0);
}

/** Moves running processes, all their threads, to a core. */
export function pinPids(pids: readonly number[], core: Core): void {
  if (core === undefined) return;
  for (const pid of pids) execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)]);
}
