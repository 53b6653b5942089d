// Answers every request on a kept-alive socket with one prepared answer: the cheapest upstream Node can be.
// Must not be used where requests have bodies or are pipelined: it takes one chunk for one request.
import { createServer } from 'node:net';
import { ANSWER_BODY } from '../answer.ts';
import { announce } from './announce.ts';

const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${ANSWER_BODY.length}\r\n\r\n${ANSWER_BODY}`,
);

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', () => socket.write(answer));
  socket.on('error', () => socket.destroy());
});
announce(server.listen(0, '127.0.0.1'));
