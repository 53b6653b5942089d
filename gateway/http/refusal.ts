// Answers of the listener itself: for what never becomes a request of the core.
// Must close the connection after it: behind broken framing nothing that follows can be trusted.
import { type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { GatewayError } from '../core/errors.ts';
import { buildProblem } from '../core/exchange/answers.ts';

/** Refuses a request whose head could be read, in its place among pipelined ones. */
export function refuseResponse(response: ServerResponse, error: GatewayError): void {
  const { lines, body } = buildRefusal(error);
  response.shouldKeepAlive = false;
  response.writeHead(error.status, [...lines]).end(body);
}

/** Gives the header lines and the body of a refusal. */
function buildRefusal(error: GatewayError): { readonly lines: readonly string[]; readonly body: Uint8Array } {
  const { headers, body } = buildProblem(error, '');
  const lines: string[] = [];
  headers.writeTo(lines);
  lines.push('Content-Length', String(body.length));
  return { lines, body };
}

/** Refuses whatever came on the socket, and closes it. */
export function refuseSocket(socket: Socket, error: GatewayError): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const { lines, body } = buildRefusal(error);
  let head = `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n`;
  for (let at = 0; at < lines.length; at += 2) head += `${lines[at]}: ${lines[at + 1]}\r\n`;
  socket.write(`${head}Connection: close\r\n\r\n`, 'latin1');
  socket.end(body, () => socket.destroySoon());
}
