// Sends WebSocket messages that are echoed: a closed loop on raw sockets, several messages in flight on each.
// Must not understand more of WebSocket than its own frame.
import { connect, type Socket } from 'node:net';
import { CLIENT_FRAME, defineFrameCounter, repeatFrame, SERVER_FRAME } from './frames.ts';
import type { LoadResult } from './load.ts';
import type { LocalPlan } from './run-generator.ts';
import { buildRequestBytes } from './socket-load.ts';
import { type Tally, tallyFor } from './tally.ts';

/** Messages on their way on one connection. They travel together: what comes back in one read goes out in one write. */
export const IN_FLIGHT = 4;

const HEAD_END = Buffer.from('\r\n\r\n');
const UPGRADE = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const counterOf = defineFrameCounter(SERVER_FRAME);
const FRAMES: readonly Buffer[] = Array.from({ length: IN_FLIGHT + 1 }, (_, count) => repeatFrame(CLIENT_FRAME, count));

/** Asks for the upgrade; `onOpen` gets the bytes behind the answer's head. */
function upgrade(socket: Socket, request: Buffer, onOpen: (rest: Buffer) => void): void {
  let head: Buffer = Buffer.alloc(0);
  socket.write(request);
  const read = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf(HEAD_END);
    if (end < 0) return;
    socket.off('data', read);
    if (head.toString('latin1', 9, 12) !== '101') socket.destroy(new Error('the upgrade was refused'));
    else onOpen(head.subarray(end + HEAD_END.length));
  };
  socket.on('data', read);
}

function exchange(socket: Socket, rest: Buffer, tally: Tally): void {
  const counter = counterOf();
  // When each message in flight was sent, oldest first.
  const sentAt: number[] = [];
  const send = (count: number): void => {
    const now = performance.now();
    for (let index = 0; index < count; index += 1) sentAt.push(now);
    socket.write(FRAMES[count] ?? repeatFrame(CLIENT_FRAME, count));
  };
  const read = (chunk: Buffer): void => {
    try {
      const count = counter.count(chunk);
      const now = performance.now();
      for (let index = 0; index < count; index += 1) tally.latenciesMs.push(now - (sentAt.shift() ?? now));
      if (count > 0) send(count);
    } catch (error) {
      socket.destroy(error instanceof Error ? error : undefined);
    }
  };
  socket.on('data', read);
  send(IN_FLIGHT);
  read(rest);
}

/** Runs the load in this process. */
export function generateMessages({ port, connections, seconds, requests }: LocalPlan): Promise<LoadResult> {
  return tallyFor(seconds, (tally) => {
    const sockets = Array.from({ length: connections }, (_, index) => {
      const request = buildRequestBytes(requests[index % requests.length] ?? { path: '/', headers: {} }, UPGRADE);
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.on('connect', () => upgrade(socket, request, (rest) => exchange(socket, rest, tally)));
      socket.on('error', () => {});
      // A connection that ends early is a failure, however it ends.
      socket.on('close', () => {
        tally.failures += 1;
      });
      return socket;
    });
    return () => {
      for (const socket of sockets) socket.destroy();
    };
  });
}
