// A Redis for tests: the one at REDIS_URL, else a program of our own on a socket in a directory of its own.
// Must not be left running, and must not be skipped in silence.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Is a Redis that a test may use and, if it is its own, stop. */
export interface TestRedis {
  readonly url: string;
  /** False for the one at REDIS_URL. */
  readonly isOwn: boolean;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Stops it for good and takes its files away. */
  close(): Promise<void>;
}

/** Finds a Redis; undefined when there is none, which is said aloud. @throws Error in CI, where nothing may be skipped. */
export async function openRedis(): Promise<TestRedis | undefined> {
  const url = process.env['REDIS_URL'];
  if (url) return { url, isOwn: false, start: async () => {}, stop: async () => {}, close: async () => {} };
  if (spawnSync('redis-server', ['--version']).status === 0) return startOwn();
  if (process.env['CI'] === 'true') throw new Error('CI needs a Redis: set REDIS_URL or install redis-server');
  process.stdout.write('    skipped, for there is no Redis: set REDIS_URL or install redis-server\n');
  return undefined;
}

async function startOwn(): Promise<TestRedis> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  const url = join(folder, 's');
  let child: ChildProcess | undefined;
  const redis: TestRedis = {
    url,
    isOwn: true,
    async start() {
      const args = ['--port', '0', '--unixsocket', url, '--dir', folder, '--save', '', '--appendonly', 'no'];
      const started = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
      child = started;
      for await (const chunk of started.stdout) if (String(chunk).includes('eady to accept connections')) break;
    },
    async stop() {
      if (!child || child.exitCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    async close() {
      await redis.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await redis.start();
  return redis;
}
