// Sends large bodies both ways to takers that are slower than their senders: what is not taken must not pile up.
// Must not be run where the gateway would be the slowest part: then nothing could pile up anyway.
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readRssBytes } from '../processes.ts';
import { countBlocks, countBytes, createBodyUpstream, sendBlocks, sipBlocks } from './bodies.ts';
import { type EnduranceCase, judgeMost, type Stage } from './case.ts';
import { publishApis } from './stage.ts';
import { startWatch } from './statistics.ts';

const TAKERS = 20;
const MIB_PER_SECOND = 2;
/** Before memory is looked at first: code compiled, pools and buffers as large as small bodies make them. */
const WARM_UP_MIB = 4;
const WARM_UP_ROUNDS = 2;
const MOST_GROWTH_MIB = 64;
const LOOK_MS = 250;
const BYTES_PER_MIB = 1_048_576;

interface Transfer {
  readonly port: number;
  readonly blocks: number;
  readonly isChunked: boolean;
  readonly mibPerSecond: number;
}

function headersOf({ blocks, isChunked }: Transfer): Record<string, string> {
  return { host: 'bodies.example.com', 'x-blocks': String(blocks), 'x-framing': isChunked ? 'chunked' : 'length' };
}

async function download(transfer: Transfer): Promise<void> {
  const { port, blocks, mibPerSecond } = transfer;
  const asked = request({ port, host: '127.0.0.1', path: '/bodies/down', headers: headersOf(transfer), agent: false });
  asked.end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  const came = await sipBlocks(response, mibPerSecond);
  if (response.statusCode !== 200 || came !== blocks) throw new Error(`${came} of ${blocks} blocks came down`);
}

async function upload(transfer: Transfer): Promise<void> {
  const { port, blocks, isChunked } = transfer;
  const length = isChunked ? {} : { 'content-length': String(countBytes(blocks)) };
  const headers = { ...headersOf(transfer), ...length };
  const sent = request({ port, host: '127.0.0.1', method: 'POST', path: '/bodies/up', headers, agent: false });
  const answered = once(sent, 'response') as Promise<[IncomingMessage]>;
  sendBlocks(sent, blocks);
  const [response] = await answered;
  response.resume();
  if (response.statusCode !== 200) throw new Error(`a body that went up was answered ${response.statusCode}`);
}

/** Runs all transfers at once; gives how many failed. */
async function transferAll(port: number, mib: number, mibPerSecond: number): Promise<readonly string[]> {
  const transfers = Array.from({ length: TAKERS }, (_, index) => {
    const transfer = { port, blocks: countBlocks(mib), isChunked: index % 2 === 1, mibPerSecond };
    return [download(transfer), upload(transfer)];
  });
  const ends = await Promise.allSettled(transfers.flat());
  return ends.flatMap((end) => (end.status === 'rejected' ? [String(end.reason)] : []));
}

async function run(stage: Stage): ReturnType<EnduranceCase['run']> {
  const { instance, port, options, say } = stage;
  const upstream = createBodyUpstream(MIB_PER_SECOND).listen(0, '127.0.0.1');
  await once(upstream, 'listening');
  stage.defer(() => upstream.close());
  await publishApis(stage, { bodies: (upstream.address() as AddressInfo).port });
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) await transferAll(port, WARM_UP_MIB, MIB_PER_SECOND);

  const before = readRssBytes(instance.keeperPid);
  const watch = startWatch(LOOK_MS, () => readRssBytes(instance.keeperPid));
  const startedAt = performance.now();
  const faults = await transferAll(port, options.bodyMib, MIB_PER_SECOND);
  watch.stop();
  const most = Math.max(...watch.take());
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  const [from, to] = [before, most].map((bytes) => (bytes / BYTES_PER_MIB).toFixed(0));
  say(
    `${2 * TAKERS} bodies of ${options.bodyMib} MiB in ${seconds} s; RSS of keeper and worker ${from} MiB, then ${to}`,
  );
  for (const fault of new Set(faults)) say(`  ${fault}`);
  return [
    judgeMost('RSS growth', (most - before) / BYTES_PER_MIB, MOST_GROWTH_MIB, ' MiB'),
    judgeMost('bodies that did not arrive whole', faults.length, 0),
  ];
}

/** Is the case. */
export const slowReaders: EnduranceCase = {
  name: 'slow-readers',
  description: `${TAKERS} clients that take, and ${TAKERS} bodies for an upstream that takes, ${MIB_PER_SECOND} MiB/s each`,
  handles: 1024,
  run,
};
