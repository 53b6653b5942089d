// A real upstream for tests: records what it gets and answers as told.
// Must not hide what came over the wire: header lines are kept as sent.
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';

/** Is one request as the origin got it. */
export interface SeenRequest {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
  readonly body: Buffer;
}

/** Is a running origin. */
export interface Origin {
  readonly url: string;
  readonly port: number;
  readonly seen: SeenRequest[];
  close(): Promise<void>;
}

/** Answers each request after its body was read, by default with 200 and `ok`. */
export async function startOrigin(
  answer: (request: SeenRequest, response: ServerResponse) => void = (_, response) => response.end('ok'),
): Promise<Origin> {
  const seen: SeenRequest[] = [];
  return serve((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const one = toSeen(request, Buffer.concat(chunks));
      seen.push(one);
      answer(one, response);
    });
  }, seen);
}

/** Hands each request over before its body is read. */
export function startRawOrigin(listener: RequestListener): Promise<Origin> {
  return serve(listener, []);
}

async function serve(listener: RequestListener, seen: SeenRequest[]): Promise<Origin> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function toSeen(request: IncomingMessage, body: Buffer): SeenRequest {
  return { method: request.method ?? '', target: request.url ?? '', rawHeaders: request.rawHeaders, body };
}

/** Is a TCP server that speaks no HTTP of its own. */
export interface TcpOrigin {
  readonly url: string;
  readonly port: number;
  /** Every byte that came in, over all connections. */
  received(): string;
  /** The same, connection by connection. */
  texts(): readonly string[];
  readonly connections: readonly Socket[];
  close(): Promise<void>;
}

/** Calls `onData` with each connection, all that it has sent so far, and what came last. */
export async function startTcpOrigin(onData: (socket: Socket, text: string, last: string) => void): Promise<TcpOrigin> {
  const connections: Socket[] = [];
  const texts = new Map<Socket, string>();
  const server = createTcpServer((socket) => {
    connections.push(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      const last = chunk.toString('latin1');
      const text = (texts.get(socket) ?? '') + last;
      texts.set(socket, text);
      onData(socket, text, last);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    received: () => [...texts.values()].join(''),
    texts: () => connections.map((socket) => texts.get(socket) ?? ''),
    connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of connections) socket.destroy();
      }),
  };
}

/** Reads one header of a recorded request; every value, in order. */
export function headerOf(request: SeenRequest | undefined, name: string): readonly string[] {
  const values: string[] = [];
  const lines = request?.rawHeaders ?? [];
  for (let at = 0; at < lines.length; at += 2) {
    if (lines[at]?.toLowerCase() === name) values.push(lines[at + 1] ?? '');
  }
  return values;
}
