// Writes requests: head from parts, body by length or in chunks.
// Must not pass on framing from outside: it is decided here.
import type { Socket } from 'node:net';
import type { BodySource, UpstreamRequest } from '../../core/ports.ts';

/** Largest body that leaves in one write with its head. */
const MAX_JOINED_BYTES = 16 * 1024;
const LAST_CHUNK = '0\r\n\r\n';

/** Hears how the sending went. */
export interface SendEvents {
  /** Says whose turn it is: the client's to send more of the body, or the target's to read what is sent. */
  onProgress(isClientsTurn: boolean): void;
  /** The last byte was handed to the system. */
  onSent(): void;
  /** The body broke off, or was not as long as it said. */
  onBodyFailed(error: Error): void;
}

/** Sends a request whole, or begins to and goes on as its body comes. */
export function sendRequest(socket: Socket, request: UpstreamRequest, events: SendEvents): void {
  const { body } = request;
  if (body === undefined) {
    // A method that expects content says that there is none; RFC 9110 section 8.6.
    const framing = EXPECTS_CONTENT.has(request.method) ? 'Content-Length: 0\r\n' : '';
    socket.write(`${writeHead(request)}${framing}\r\n`, 'latin1');
    events.onSent();
  } else if (body instanceof Uint8Array) {
    sendBytes(socket, `${writeHead(request)}Content-Length: ${body.length}\r\n\r\n`, body);
    events.onSent();
  } else {
    sendSource(socket, request, body, events);
  }
}

const EXPECTS_CONTENT = new Set(['POST', 'PUT', 'PATCH']);

function writeHead({ method, target, headers }: UpstreamRequest): string {
  let head = `${method} ${target} HTTP/1.1\r\n`;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  return head;
}

function sendBytes(socket: Socket, head: string, body: Uint8Array): void {
  if (body.length <= MAX_JOINED_BYTES) {
    socket.write(Buffer.concat([Buffer.from(head, 'latin1'), body]));
    return;
  }
  socket.write(head, 'latin1');
  socket.write(body);
}

function sendSource(socket: Socket, request: UpstreamRequest, body: BodySource, events: SendEvents): void {
  const { length } = body;
  const framing = length === undefined ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
  socket.write(`${writeHead(request)}${framing}\r\n\r\n`, 'latin1');
  const resume = (): void => {
    events.onProgress(true);
    body.resume();
  };
  let sent = 0;
  socket.on('drain', resume);
  events.onProgress(true);
  body.start({
    write(chunk) {
      if (socket.destroyed || chunk.length === 0) return true;
      sent += chunk.length;
      const mayGoOn = length === undefined ? writeChunk(socket, chunk) : socket.write(chunk);
      events.onProgress(mayGoOn);
      return mayGoOn;
    },
    end() {
      socket.off('drain', resume);
      if (socket.destroyed) return;
      if (length === undefined) socket.write(LAST_CHUNK, 'latin1');
      // Fewer bytes than announced would leave the target waiting, and what comes next would be taken for them.
      if (length !== undefined && sent !== length) events.onBodyFailed(new Error('the body is not as long as it said'));
      else events.onSent();
    },
    fail(error) {
      socket.off('drain', resume);
      events.onBodyFailed(error);
    },
  });
}

function writeChunk(socket: Socket, chunk: Uint8Array): boolean {
  socket.cork();
  socket.write(`${chunk.length.toString(16)}\r\n`, 'latin1');
  socket.write(chunk);
  const mayGoOn = socket.write('\r\n', 'latin1');
  socket.uncork();
  return mayGoOn;
}
