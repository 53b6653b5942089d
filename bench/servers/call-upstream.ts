// Answers every gRPC call with one prepared message, over HTTP/2 in clear.
// Must not answer before it was asked the whole: gateways take that for the end of the call.
import { createServer } from 'node:http2';
import { CALL_ANSWER } from '../suites/call-messages.ts';
import { announce } from './announce.ts';

const answer = Buffer.from(CALL_ANSWER, 'latin1');
const server = createServer();
server.on('stream', (stream) => {
  stream.on('error', () => {});
  stream.on('wantTrailers', () => {
    if (!stream.destroyed && !stream.closed) stream.sendTrailers({ 'grpc-status': '0' });
  });
  stream.on('end', () => {
    // The load ends in the middle of calls, and their streams with it.
    if (stream.destroyed || stream.closed) return;
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.end(answer);
  });
  stream.resume();
});
announce(server.listen(0, '127.0.0.1'));
