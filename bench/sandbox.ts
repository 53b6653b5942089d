// Is `npm run bench -- --suite sandbox`: what a hook of a package costs in each tier, without a network around it.
// Must not measure whole requests: the suites do.

import type { Manifest } from '../gateway/core/manifest.ts';
import type { Exchange, Host } from '../gateway/core/plugin.ts';
import { findIsolates } from '../gateway/sandbox/isolate/library.ts';
import { openSandbox, type Sandbox, type Tier } from '../gateway/sandbox/sandbox.ts';
import { fakeExchange, fakeHost } from '../gateway/testing.ts';

const CODE = `import { definePlugin } from 'sallyport/plugin';
export const plugin = definePlugin({
  onRequest(exchange) { exchange.request.headers.set('x-acme-agent', exchange.request.headers.get('user-agent') ?? 'none'); },
});`;

const MANIFEST: Manifest = {
  name: 'bench/stamp',
  version: '1.0.0',
  title: 'Stamp',
  summary: 'Reads one header and writes one.',
  stage: 'transform',
  hooks: ['onRequest'],
  scopes: ['global'],
  failPolicy: 'closed',
  limits: { timeoutMs: 1_000, memoryMb: 32 },
  permissions: { request: { headers: { read: ['user-agent', 'x-*'], write: ['x-acme-*'] }, path: 'read' } },
  engines: { gateway: '^1.2.0' },
};

const HEADERS = {
  'user-agent': 'bench/1.0',
  accept: '*/*',
  'accept-encoding': 'gzip, br',
  'content-type': 'application/json',
  authorization: 'Bearer 0123456789abcdef',
  cookie: 'session=0123456789abcdef',
  'x-trace': '0123456789abcdef',
  'x-client': 'bench',
};

/** Targets in microseconds per hook, one request at a time. */
const TARGETS: ReadonlyMap<Tier, number> = new Map([
  ['native', 0.3],
  ['isolate', 10],
  ['process', 60],
]);

/** Requests in flight in the second figure. */
const IN_FLIGHT = 64;

type Hook = (exchange: Exchange, config: unknown, state: unknown) => unknown;

interface Subject {
  readonly hook: Hook;
  readonly exchange: Exchange;
  readonly state: unknown;
}

async function runMany({ hook, exchange, state }: Subject, calls: number): Promise<void> {
  for (let call = 0; call < calls; call++) {
    const waiting = hook(exchange, {}, state);
    if (waiting instanceof Promise) await waiting;
  }
}

interface Cost {
  /** From call to result, one after the other. */
  readonly aloneUs: number;
  /** Per call with many in flight. */
  readonly manyUs: number;
  /** Processor time of this process per call, with many in flight. */
  readonly ownCpuUs: number;
}

async function measure(subject: Subject, calls: number): Promise<Cost> {
  await runMany(subject, calls / 4);
  const beganMs = performance.now();
  await runMany(subject, calls);
  const aloneUs = ((performance.now() - beganMs) * 1_000) / calls;
  const cpu = process.cpuUsage();
  const manyBeganMs = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, () => runMany(subject, calls / IN_FLIGHT)));
  const { user, system } = process.cpuUsage(cpu);
  return { aloneUs, manyUs: ((performance.now() - manyBeganMs) * 1_000) / calls, ownCpuUs: (user + system) / calls };
}

async function open(tier: Tier): Promise<Sandbox> {
  const { log } = fakeHost();
  return openSandbox({ code: CODE, manifest: MANIFEST, granted: MANIFEST.permissions, secrets: {}, tier, log });
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** Measures every tier, and prints a table. */
export async function benchSandbox(rounds: number, say: (line: string) => void): Promise<void> {
  const host: Host = fakeHost();
  say(`µs per hook that reads one header and writes one; medians of ${rounds} rounds\n`);
  say('tier      alone   64 in flight   of it processor time here   target');
  for (const [tier, target] of TARGETS) {
    if (tier === 'isolate' && !findIsolates().library) {
      say('isolate  is not measured: isolated-vm does not load here');
      continue;
    }
    const sandbox = await open(tier);
    const exchange = fakeExchange({ headers: HEADERS });
    const state = await sandbox.plugin.setup?.({}, host);
    const subject: Subject = { hook: sandbox.plugin.onRequest as Hook, exchange, state };
    const calls = tier === 'process' ? 12_800 : 128_000;
    const costs: Cost[] = [];
    for (let round = 0; round < rounds; round++) costs.push(await measure(subject, calls));
    const figure = (pick: (cost: Cost) => number): string => median(costs.map(pick)).toFixed(2);
    const [alone, many, own] = [
      figure((one) => one.aloneUs),
      figure((one) => one.manyUs),
      figure((one) => one.ownCpuUs),
    ];
    say(
      `${tier.padEnd(8)} ${alone.padStart(6)} ${many.padStart(14)} ${own.padStart(27)} ${String(target).padStart(8)}`,
    );
    await sandbox.close();
  }
}
