// An upstream that speaks HTTP/2 in clear or over TLS, and one that speaks frames only.
// Must not hide what came over the wire.
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { type Frame, FrameReader } from './h2-frames.ts';

/** Is one request as the origin got it. */
export interface SeenStream {
  readonly fields: IncomingHttpHeaders;
  readonly raw: readonly string[];
}

/** Is a running origin. */
export interface H2Origin {
  readonly url: string;
  readonly port: number;
  readonly seen: readonly SeenStream[];
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  close(): Promise<void>;
}

/** Hands each stream over before its body is read. */
export function startH2Origin(
  onStream: (stream: ServerHttp2Stream, fields: IncomingHttpHeaders) => void,
  options: ServerOptions = {},
): Promise<H2Origin> {
  return serve('h2c', createServer(options), onStream);
}

/** As `startH2Origin`, over TLS. */
export function startSecureH2Origin(
  onStream: (stream: ServerHttp2Stream, fields: IncomingHttpHeaders) => void,
  options: SecureServerOptions,
): Promise<H2Origin> {
  return serve('h2', createSecureServer(options), onStream);
}

async function serve(
  scheme: string,
  server: Http2Server,
  onStream: (stream: ServerHttp2Stream, fields: IncomingHttpHeaders) => void,
): Promise<H2Origin> {
  const seen: SeenStream[] = [];
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => {
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });
  server.on('sessionError', () => undefined);
  server.on('stream', (stream, fields, _flags, raw?: readonly string[]) => {
    stream.on('error', () => undefined);
    seen.push({ fields, raw: raw ?? [] });
    onStream(stream, fields);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    port,
    seen,
    sessions,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/** Answers with all that a stream sent. */
export function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200 });
  stream.pipe(stream);
}

/** Is an origin whose every frame is the test's. */
export interface FrameOrigin {
  readonly url: string;
  readonly port: number;
  readonly sockets: readonly Socket[];
  close(): Promise<void>;
}

/** Calls `onFrame` with each frame that comes; the preface is taken off. */
export async function startFrameOrigin(onFrame: (frame: Frame, socket: Socket) => void): Promise<FrameOrigin> {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => {
    sockets.push(socket);
    const reader = new FrameReader();
    let preface = 24;
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => {
      const skipped = Math.min(preface, bytes.length);
      preface -= skipped;
      for (const frame of reader.read(bytes.subarray(skipped))) onFrame(frame, socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `h2c://127.0.0.1:${port}`,
    port,
    sockets,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
