// Answers an upgrade to WebSocket, and echoes the one message of the load.
// Must not be used with other messages: it knows this one frame, and breaks off at any other byte.
import type { Duplex } from 'node:stream';
import { acceptKey, CLIENT_FRAME, defineFrameCounter, repeatFrame, SERVER_FRAME } from '../load/frames.ts';

/** Far above what is in flight on one connection. */
const PREPARED_COUNT = 64;
const counterOf = defineFrameCounter(CLIENT_FRAME);
const ANSWERS = Array.from({ length: PREPARED_COUNT }, (_, count) => repeatFrame(SERVER_FRAME, count));

/** Accepts an upgrade whose `Sec-WebSocket-Key` was that; gives what to hand every chunk to that follows. */
export function acceptEcho(socket: Duplex, key: string): (chunk: Buffer) => void {
  const counter = counterOf();
  const head = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade'];
  socket.write(`${head.join('\r\n')}\r\nSec-WebSocket-Accept: ${acceptKey(key)}\r\n\r\n`);
  return (chunk) => {
    try {
      const count = counter.count(chunk);
      if (count > 0) socket.write(ANSWERS[count] ?? repeatFrame(SERVER_FRAME, count));
    } catch {
      socket.destroy();
    }
  };
}
