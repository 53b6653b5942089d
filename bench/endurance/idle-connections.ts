// Holds many connections open that have each done one request: what one of them costs while nothing happens on it.
// Must not judge speed.

import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { buildRequestBytes } from '../load/socket-load.ts';
import { readRssBytes } from '../processes.ts';
import { startHttpUpstream } from '../suites/upstream.ts';
import { type EnduranceCase, judgeMost, type Stage } from './case.ts';
import { type Line, openLine } from './line.ts';
import { publishApis } from './stage.ts';
import { startWatch } from './statistics.ts';

const CONNECTIONS = 10_000;
/** One address of loopback has about 28 000 ports, shared with all that was closed in the last minute. */
const CONNECTIONS_PER_ADDRESS = 4_000;
const OPENED_AT_ONCE = 100;
const IDLE_MS = 15_000;
const MOST_MIB = 300;
const LOOK_MS = 250;
const BYTES_PER_MIB = 1_048_576;
const REQUEST = buildRequestBytes({ path: '/orders/1001', headers: {} });

function addressOf(index: number): string {
  return `127.0.0.${2 + Math.floor(index / CONNECTIONS_PER_ADDRESS)}`;
}

/** Does one request on each; gives how many were not answered 200. */
async function askAll(lines: readonly Line[]): Promise<number> {
  let failures = 0;
  for (let from = 0; from < lines.length; from += OPENED_AT_ONCE) {
    const asked = lines.slice(from, from + OPENED_AT_ONCE).map((line) => line.ask(REQUEST).catch(() => 0));
    failures += (await Promise.all(asked)).filter((status) => status !== 200).length;
  }
  return failures;
}

async function openAll(port: number, count: number): Promise<Line[]> {
  const lines: Line[] = [];
  while (lines.length < count) {
    const size = Math.min(OPENED_AT_ONCE, count - lines.length);
    const opened = Array.from({ length: size }, (_, index) =>
      openLine({ port, localAddress: addressOf(lines.length + index) }),
    );
    lines.push(...(await Promise.all(opened)));
  }
  return lines;
}

async function run(stage: Stage): ReturnType<EnduranceCase['run']> {
  const { instance, port, options, cores, say } = stage;
  const upstream = await startHttpUpstream(join(stage.directory, 'upstream'), cores.load);
  stage.defer(upstream.close);
  await publishApis(stage, { orders: upstream.port });
  const readMib = (): number => readRssBytes(instance.keeperPid) / BYTES_PER_MIB;
  const before = readMib();

  const watch = startWatch(LOOK_MS, readMib);
  const lines = await openAll(port, options.connections ?? CONNECTIONS);
  stage.defer(() => {
    for (const line of lines) line.close();
  });
  const refused = await askAll(lines);
  await wait(IDLE_MS);
  const idleMib = readMib();
  const closed = lines.filter(({ isOpen }) => !isOpen).length;
  const failed = await askAll(lines);
  watch.stop();
  const kib = ((idleMib - before) * 1024) / lines.length;
  say(
    `RSS of keeper and worker ${before.toFixed(0)} MiB, ${idleMib.toFixed(0)} idle: ${kib.toFixed(1)} KiB a connection`,
  );
  return [
    judgeMost(`RSS with ${lines.length} connections at its highest`, Math.max(...watch.take()), MOST_MIB, ' MiB'),
    judgeMost('first requests that failed', refused, 0),
    judgeMost('connections that were closed while idle', closed, 0),
    judgeMost('requests after the idle time that failed', failed, 0),
  ];
}

/** Is the case. */
export const idleConnections: EnduranceCase = {
  name: 'idle-connections',
  description: 'connections that have done one request and stay open',
  // They must outlast the opening of all others, however slow the machine is.
  env: { SALLYPORT_KEEP_ALIVE_MS: '600000' },
  handles: 12_000,
  run,
};
