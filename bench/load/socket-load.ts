// Is the harness's own load generator, for machines without wrk: a closed loop on raw sockets.
// Must not understand more of HTTP than an answer with a Content-Length.
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { LoadRequest } from '../contenders/contender.ts';
import { SERVER_NAME } from './certificate.ts';
import type { LoadResult } from './load.ts';
import type { LocalPlan } from './run-generator.ts';
import { type Tally, tallyFor } from './tally.ts';

const HEAD_END = Buffer.from('\r\n\r\n');
const NO_BYTES: Buffer = Buffer.alloc(0);

/** Reads answers off a byte stream and tells their status. */
export interface AnswerReader {
  /** Takes bytes; gives the statuses of the answers they complete. @throws Error when an answer has no Content-Length. */
  read(chunk: Buffer): readonly number[];
  /** Says that the server wants no further request on this connection. */
  readonly isLast: boolean;
}

/** Builds a reader for one connection. */
export function buildAnswerReader(): AnswerReader {
  let rest = NO_BYTES;
  let isLast = false;
  return {
    get isLast() {
      return isLast;
    },
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
        isLast ||= /\r\nconnection: *close/i.test(head);
        rest = rest.subarray(total);
      }
    },
  };
}

/** Writes a request out; `extra` fields come last. */
export function buildRequestBytes(
  { path, headers }: LoadRequest,
  extra: Readonly<Record<string, string>> = {},
): Buffer {
  const fields = Object.entries({ host: 'orders.example.com', ...headers, ...extra }).map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${fields.join('')}\r\n`);
}

function openSocket({ port, certificate }: LocalPlan, onOpen: (socket: Socket) => void): Socket {
  if (certificate === undefined) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    return socket.on('connect', () => onOpen(socket));
  }
  const secure = connectTls({ port, host: '127.0.0.1', servername: SERVER_NAME, ca: certificate });
  secure.setNoDelay(true);
  return secure.on('secureConnect', () => onOpen(secure));
}

/** Sends one request after the other until the socket is closed. */
function drive(plan: LocalPlan, nextRequest: () => Buffer, tally: Tally): Socket {
  const reader = buildAnswerReader();
  let sentAt = 0;
  const send = (socket: Socket): void => {
    sentAt = performance.now();
    socket.write(nextRequest());
  };
  const socket = openSocket(plan, send);
  socket.on('data', (chunk) => {
    for (const status of reader.read(chunk)) {
      tally.latenciesMs.push(performance.now() - sentAt);
      if (status < 200 || status > 299) tally.failures += 1;
      send(socket);
    }
  });
  socket.on('error', () => {
    tally.failures += 1;
  });
  return socket;
}

/** Runs the load in this process. */
export function generateLoad(plan: LocalPlan): Promise<LoadResult> {
  const requests = plan.requests.map((request) => buildRequestBytes(request));
  let next = 0;
  const nextRequest = (): Buffer => {
    next = (next + 1) % requests.length;
    return requests[next] ?? NO_BYTES;
  };
  return tallyFor(plan.seconds, (tally) => {
    const sockets = Array.from({ length: plan.connections }, () => drive(plan, nextRequest, tally));
    return () => {
      for (const socket of sockets) socket.destroy();
    };
  });
}
