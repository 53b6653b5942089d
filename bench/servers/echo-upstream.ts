// Takes every upgrade and echoes the one WebSocket message of the load: the cheapest echo Node can be.
// Must not be used with other messages: it knows this one frame, and breaks off at any other byte.
import { createServer, type Socket } from 'node:net';
import { acceptKey, CLIENT_FRAME, defineFrameCounter, repeatFrame, SERVER_FRAME } from '../load/frames.ts';
import { announce } from './announce.ts';

/** Far above what is in flight on one connection. */
const PREPARED_COUNT = 64;
const HEAD_END = '\r\n\r\n';
const counterOf = defineFrameCounter(CLIENT_FRAME);
const ANSWERS = Array.from({ length: PREPARED_COUNT }, (_, count) => repeatFrame(SERVER_FRAME, count));

function echo(socket: Socket): (chunk: Buffer) => void {
  const counter = counterOf();
  return (chunk) => {
    try {
      const count = counter.count(chunk);
      if (count > 0) socket.write(ANSWERS[count] ?? repeatFrame(SERVER_FRAME, count));
    } catch {
      socket.destroy();
    }
  };
}

const server = createServer({ noDelay: true }, (socket) => {
  let head = '';
  let onFrames: ((chunk: Buffer) => void) | undefined;
  socket.on('data', (chunk) => {
    if (onFrames) {
      onFrames(chunk);
      return;
    }
    head += chunk.toString('latin1');
    const end = head.indexOf(HEAD_END);
    if (end < 0) return;
    const accept = acceptKey(/\r\nsec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? '');
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}${HEAD_END}`,
    );
    onFrames = echo(socket);
    onFrames(Buffer.from(head.slice(end + HEAD_END.length), 'latin1'));
  });
  socket.on('error', () => socket.destroy());
});
announce(server.listen(0, '127.0.0.1'));
