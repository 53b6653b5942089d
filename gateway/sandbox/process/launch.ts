// Starts a child process that can do next to nothing: no environment, no files, no children, so much memory.
// Must not know what is said to it.
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGE = join(HERE, '..', '..', '..', '..', 'package.json');

/** What Node keeps on its own heap, beside the plugin's. */
const OWN_HEAP_MB = 12;
/** Young objects: by default three times 16 MB, which would go beyond any limit. */
const SEMI_SPACE_MB = 2;
/** What comes beside both heaps: buffers in flight, compiled code, stacks of threads. */
const SLACK_MB = 24;
/** Most files and sockets; a child needs about twenty. */
const MAX_FILES = 64;

/**
 * Bounds what the kernel gives (`ulimit`), then becomes Node, without the one variable that Node hands on whatever it is told.
 * Beside it waits a reader of a pipe that only the gateway holds: when
 * that ends without a word, the gateway is gone, and a child in an endless loop would not notice.
 */
const SCRIPT = `ulimit -c 0; ulimit -n ${MAX_FILES}; [ "$1" = 0 ] || ulimit -d "$1"; shift; unset PWD OLDPWD SHLVL _ NODE_V8_COVERAGE
(exec 3>&- 2>&-; read -r word <&4 || kill -9 $$) & exec "$@" 4<&-`;

/** Is a child process with the pipe to it. */
export interface Launched {
  readonly child: ChildProcess;
  readonly channel: Socket;
  /** Kills it now. */
  kill(): void;
  /** Gives the end of what it wrote on its standard error. */
  lastWords(): string;
}

/** Starts a child. `dataKb`: most memory that it may write to, by the kernel's count; 0 = not bounded by the kernel. */
export function launch(memoryMb: number, dataKb: number): Launched {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'sh', String(dataKb), process.execPath, ...listFlags(memoryMb)], {
    env: {},
    cwd: '/',
    // A session of its own: what a terminal sends to the whole group is the gateway's affair, which drains before it ends us.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
  });
  const channel = child.stdio[3] as Socket;
  const guard = child.stdio[4] as Socket;
  let words = '';
  child.stderr?.on('data', (bytes: Buffer) => {
    words = (words + bytes.toString('latin1')).slice(-MAX_WORDS);
  });
  for (const pipe of [channel, guard]) pipe.on('error', () => undefined);
  // The process id is free from here on: nobody may be killed by it any more.
  child.once('exit', () => guard.end('over\n'));
  return { child, channel, kill: () => void child.kill('SIGKILL'), lastWords: () => words };
}

const MAX_WORDS = 8_192;

function listFlags(memoryMb: number): readonly string[] {
  // Named so since Node 22.13 and 23.5.
  const permission = process.allowedNodeEnvironmentFlags.has('--permission')
    ? '--permission'
    : '--experimental-permission';
  return [
    permission,
    `--allow-fs-read=${join(HERE, '*')}`,
    `--allow-fs-read=${PACKAGE}`,
    '--no-warnings',
    '--no-addons',
    '--experimental-vm-modules',
    '--frozen-intrinsics',
    '--disallow-code-generation-from-strings',
    `--max-old-space-size=${memoryMb + OWN_HEAP_MB}`,
    `--max-semi-space-size=${SEMI_SPACE_MB}`,
    join(HERE, 'child.js'),
  ];
}

/** Gives the memory limit of a child for the kernel, by what one holds before it has loaded a plugin. */
export function toDataKb(idle: Footprint | undefined, memoryMb: number): number {
  return idle ? idle.dataKb + (memoryMb + SLACK_MB) * 1024 : 0;
}

/** Gives the bound on what a child may have in memory. */
export function toRssKb(idle: Footprint | undefined, memoryMb: number): number {
  return (idle?.rssKb ?? DEFAULT_RSS_KB) + (memoryMb + SLACK_MB) * 1024;
}

const DEFAULT_RSS_KB = 64 * 1024;

/** Is the memory of a process, by the kernel's count. */
export interface Footprint {
  readonly dataKb: number;
  readonly rssKb: number;
}

/** Reads what a process holds; undefined where the system does not tell. */
export function readFootprint(pid: number | undefined): Footprint | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'latin1');
    const read = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]);
    const footprint = { dataKb: read('VmData'), rssKb: read('VmRSS') };
    return Number.isNaN(footprint.dataKb + footprint.rssKb) ? undefined : footprint;
  } catch {
    return undefined;
  }
}
