// Is the harness's own load generator, for machines without wrk: a closed loop on raw sockets, in a process of its own.
// Must not understand more of HTTP than an answer with a Content-Length.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { LoadRequest } from '../contenders/contender.ts';
import { startProcess } from '../processes.ts';
import type { LoadPlan, LoadResult } from './load.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const NO_BYTES: Buffer = Buffer.alloc(0);

/** Reads answers off a byte stream and tells their status. */
export interface AnswerReader {
  /** Takes bytes; gives the statuses of the answers they complete. @throws Error when an answer has no Content-Length. */
  read(chunk: Buffer): readonly number[];
}

/** Builds a reader for one connection. */
export function buildAnswerReader(): AnswerReader {
  let rest = NO_BYTES;
  return {
    read(chunk) {
      const statuses: number[] = [];
      rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      for (;;) {
        const end = rest.indexOf(HEAD_END);
        if (end < 0) return statuses;
        const head = rest.toString('latin1', 0, end);
        const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
        if (length === undefined) throw new Error('the answer has no Content-Length');
        const total = end + HEAD_END.length + Number(length);
        if (rest.length < total) return statuses;
        statuses.push(Number(head.slice(9, 12)));
        rest = rest.subarray(total);
      }
    },
  };
}

function buildRequestBytes({ path, headers }: LoadRequest): Buffer {
  const fields = Object.entries({ host: 'orders.example.com', ...headers }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${fields.join('')}\r\n`);
}

function findPercentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

interface Tally {
  failures: number;
  readonly latenciesMs: number[];
}

/** Sends one request after the other on a socket until it is closed. */
function drive(socket: Socket, nextRequest: () => Buffer, tally: Tally): void {
  const reader = buildAnswerReader();
  let sentAt = 0;
  const send = (): void => {
    sentAt = performance.now();
    socket.write(nextRequest());
  };
  socket.on('connect', send);
  socket.on('data', (chunk) => {
    for (const status of reader.read(chunk)) {
      tally.latenciesMs.push(performance.now() - sentAt);
      if (status < 200 || status > 299) tally.failures += 1;
      send();
    }
  });
  socket.on('error', () => {
    tally.failures += 1;
  });
}

/** Runs the load in this process. */
export async function generateLoad(plan: Omit<LoadPlan, 'core' | 'directory'>): Promise<LoadResult> {
  const requests = plan.requests.map(buildRequestBytes);
  const tally: Tally = { failures: 0, latenciesMs: [] };
  let next = 0;
  const nextRequest = (): Buffer => {
    next = (next + 1) % requests.length;
    return requests[next] ?? NO_BYTES;
  };
  const startedAt = performance.now();
  const sockets = Array.from({ length: plan.connections }, () =>
    connect({ port: plan.port, host: '127.0.0.1', noDelay: true }),
  );
  for (const socket of sockets) drive(socket, nextRequest, tally);

  await new Promise((resolve) => setTimeout(resolve, plan.seconds * 1000));
  const seconds = (performance.now() - startedAt) / 1000;
  for (const socket of sockets) socket.destroy();

  const sorted = Float64Array.from(tally.latenciesMs).sort();
  const { failures } = tally;
  const [p50Ms, p99Ms] = [findPercentile(sorted, 0.5), findPercentile(sorted, 0.99)];
  return { requests: sorted.length, seconds, failures, p50Ms, p99Ms };
}

/** Runs the load in a process of its own on the plan's core. @throws Error when it fails. */
export async function runSocketLoad(plan: LoadPlan): Promise<LoadResult> {
  const script = fileURLToPath(new URL('./socket-load-main.js', import.meta.url));
  const child = startProcess([process.execPath, script], { core: plan.core });
  if (child.stdout === null) throw new Error('the load generator has no stdout');
  child.stdin?.end(JSON.stringify(plan));
  const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  if (code !== 0) throw new Error(`the load generator ended with exit code ${code}`);
  return JSON.parse(output) as LoadResult;
}
