// Sends heads and bodies a byte at a time on many connections, beside good traffic.
// Must not send so much that the load itself is what slows the good traffic.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { ANSWER_BODY } from '../answer.ts';
import { findMedian } from '../measure.ts';
import { type EnduranceCase, judgeMost, type Stage } from './case.ts';
import { type GoodTraffic, startGoodTraffic } from './good-traffic.ts';
import { startPace } from './pace.ts';
import { publishApis } from './stage.ts';

const CONNECTIONS = 1_000;
/** The other three send bodies: more of them than the gateway has connections to one target. */
const SEATS_PER_HEAD = 4;
const WINDOW_MS = 5_000;
const WINDOWS_WITHOUT = 3;
/** Longer than the longest deadline, so that connections end and are replaced meanwhile. */
const WINDOWS_WITH = 8;
/** Well beyond what the gateway keeps idle connections for. */
const UPSTREAM_KEEP_ALIVE_MS = 120_000;
const SETTLE_MS = 3_000;
const MOST_P99_RATIO = 1.5;
/** Defaults of the product, and what the harness may be late. */
const HEAD_DEADLINE_MS = 10_000;
/** 30 s of grace, then 128 bytes a second: one byte a second does not buy time. */
const BODY_DEADLINE_MS = 30_500;
const LATE_MS = 2_000;

type Kind = 'head' | 'body';

const OPENINGS: Readonly<Record<Kind, string>> = {
  head: 'GET /orders/1001 HTTP/1.1\r\nHost: orders.example.com\r\nX-Slow: ',
  body: 'POST /orders/1001 HTTP/1.1\r\nHost: orders.example.com\r\nContent-Length: 1000000\r\n\r\n',
};

interface Crowd {
  /** How long each lived that has ended, by its kind. */
  readonly lifetimesMs: Readonly<Record<Kind, number[]>>;
  readonly size: number;
  /** From now on those that end are not replaced. */
  dwindle(): void;
  stop(): void;
}

function gather(port: number, count: number): Crowd {
  const lifetimesMs: Record<Kind, number[]> = { head: [], body: [] };
  const members = new Map<number, { drip(): void; end(): void }>();
  let isDwindling = false;
  const join = (seat: number): void => {
    const kind: Kind = seat % SEATS_PER_HEAD === 0 ? 'head' : 'body';
    const openedAt = performance.now();
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.write(OPENINGS[kind]);
    members.set(seat, { drip: () => socket.write('x'), end: () => socket.destroy() });
    // What the gateway says about it is read and thrown away: an unread answer would keep the socket.
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', () => {
      members.delete(seat);
      lifetimesMs[kind].push(performance.now() - openedAt);
    });
  };
  let seat = 0;
  // Every seat has its turn once a second: to send a byte, or to be filled again.
  const stop = startPace(count, () => {
    const member = members.get(seat);
    if (member) member.drip();
    else if (!isDwindling) join(seat);
    seat = (seat + 1) % count;
  });
  return {
    lifetimesMs,
    get size() {
      return members.size;
    },
    dwindle() {
      isDwindling = true;
    },
    stop() {
      stop();
      for (const { end } of members.values()) end();
    },
  };
}

async function measureWindows(traffic: GoodTraffic, count: number): Promise<number[]> {
  const p99s: number[] = [];
  for (let window = 0; window < count; window += 1) {
    traffic.takeP99Ms();
    await wait(WINDOW_MS);
    p99s.push(traffic.takeP99Ms());
  }
  return p99s;
}

/** Waits until all have ended; gives how many have not in time. */
async function awaitEnd(crowd: Crowd): Promise<number> {
  const deadline = performance.now() + BODY_DEADLINE_MS + LATE_MS;
  while (crowd.size > 0 && performance.now() < deadline) await wait(100);
  return crowd.size;
}

function format(values: readonly number[]): string {
  return values.map((value) => value.toFixed(1)).join(' ');
}

async function run(stage: Stage): ReturnType<EnduranceCase['run']> {
  const { port, options, say } = stage;
  // It must read bodies to their end: an early answer would free the slow ones.
  const upstream = createServer((request, response) => {
    request
      .resume()
      .on('end', () => response.writeHead(200, { 'content-length': ANSWER_BODY.length }).end(ANSWER_BODY));
  }).listen(0, '127.0.0.1');
  upstream.keepAliveTimeout = UPSTREAM_KEEP_ALIVE_MS;
  await once(upstream, 'listening');
  stage.defer(() => upstream.closeAllConnections());
  stage.defer(() => upstream.close());
  await publishApis(stage, { orders: (upstream.address() as AddressInfo).port });
  const traffic = await startGoodTraffic(port);
  stage.defer(traffic.stop);
  await wait(SETTLE_MS);

  const before = await measureWindows(traffic, WINDOWS_WITHOUT);
  const crowd = gather(port, options.connections ?? CONNECTIONS);
  stage.defer(crowd.stop);
  await wait(SETTLE_MS);
  const during = await measureWindows(traffic, WINDOWS_WITH);
  crowd.dwindle();
  const left = await awaitEnd(crowd);
  const after = await measureWindows(traffic, WINDOWS_WITHOUT);
  const { head, body } = crowd.lifetimesMs;
  say(`p99 of good traffic, ms: ${format(before)} | with slow ones ${format(during)} | ${format(after)}`);
  say(`${head.length} slow heads and ${body.length} slow bodies have ended`);
  const ratio = findMedian(during) / findMedian([...before, ...after]);
  return [
    judgeMost('p99 of good traffic beside slow connections', ratio, MOST_P99_RATIO, 'x'),
    judgeMost('good requests that failed', traffic.failures, 0),
    judgeMost('longest life of a slow head', Math.max(0, ...head) / 1000, (HEAD_DEADLINE_MS + LATE_MS) / 1000, ' s'),
    judgeMost('longest life of a slow body', Math.max(0, ...body) / 1000, (BODY_DEADLINE_MS + LATE_MS) / 1000, ' s'),
    judgeMost('slow connections left', left, 0),
  ];
}

/** Is the case. */
export const slowLoris: EnduranceCase = {
  name: 'slow-loris',
  description: 'connections that send a byte a second, a quarter of them of a head, the others of a body',
  handles: 4_096,
  run,
};
