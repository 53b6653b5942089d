// Is the upstream of the soak for all that is no plain GET: counts bodies, answers late or large, takes upgrades.
// Must not be used where an upstream has to be cheap.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { announce } from './announce.ts';
import { acceptEcho } from './echo.ts';

/** So late that whoever asks can leave before. */
const LATE_MS = 50;
const LARGE = Buffer.alloc(1_048_576, 'large ');

function answer(response: ServerResponse, status: number, body: string | Buffer = 'ok'): void {
  response.writeHead(status, { 'content-length': body.length }).end(body);
}

/** Answers 200 when as many bytes came as `x-bytes` says. */
function count(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => answer(response, bytes === Number(request.headers['x-bytes']) ? 200 : 422));
}

const server = createServer((request, response) => {
  request.on('error', () => {});
  response.on('error', () => {});
  if (request.method === 'POST') count(request, response);
  else if (request.url?.endsWith('/late')) setTimeout(() => answer(response, 200), LATE_MS);
  else answer(response, 200, LARGE);
});
server.on('upgrade', (request, socket, head) => {
  const onFrames = acceptEcho(socket, request.headers['sec-websocket-key'] ?? '');
  socket.on('error', () => socket.destroy());
  socket.on('data', onFrames);
  // Sockets of node:http stay half open.
  socket.on('end', () => socket.end());
  onFrames(head);
});
// Longer than the gateway keeps idle connections: it must not be this side that closes them.
server.keepAliveTimeout = 120_000;
announce(server.listen(0, '127.0.0.1'));
