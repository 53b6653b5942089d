// Takes every upgrade and echoes the WebSocket message of the load: the cheapest echo Node can be.
// Must not serve other requests.
import { createServer } from 'node:net';
import { announce } from './announce.ts';
import { acceptEcho } from './echo.ts';

const HEAD_END = '\r\n\r\n';

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
    onFrames = acceptEcho(socket, /\r\nsec-websocket-key: *(\S+)/i.exec(head)?.[1] ?? '');
    onFrames(Buffer.from(head.slice(end + HEAD_END.length), 'latin1'));
  });
  socket.on('error', () => socket.destroy());
});
announce(server.listen(0, '127.0.0.1'));
