// A client of node:http2 that gathers whole answers.
// Must not be used where frames matter: h2-frames.ts sends those.
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2';

/** Is an answer, whole or broken off. */
export interface H2Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly informational: readonly IncomingHttpHeaders[];
  /** The answer ended with its head: there was no DATA frame. */
  readonly isHeadOnly: boolean;
  /** 0 when nothing was reset. */
  readonly resetCode: number;
}

/** Opens a session with prior knowledge. */
export function openSession(url: string): ClientHttp2Session {
  const session = connect(url);
  session.on('error', () => undefined);
  return session;
}

/** Sends a request; `body` undefined = its head ends it. */
export function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: string | Uint8Array,
): Promise<H2Answer> {
  const stream = session.request(headers, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return gather(stream);
}

/** Gathers the answer on a stream. */
export function gather(stream: ClientHttp2Stream): Promise<H2Answer> {
  const informational: IncomingHttpHeaders[] = [];
  const chunks: Buffer[] = [];
  let headers: IncomingHttpHeaders & IncomingHttpStatusHeader = {};
  let trailers: IncomingHttpHeaders = {};
  stream.on('headers', (fields) => informational.push(fields));
  let isHeadOnly = false;
  stream.on('response', (fields, flags) => {
    headers = fields;
    isHeadOnly = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
  });
  stream.on('trailers', (fields) => {
    trailers = fields;
  });
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', () => undefined);
  return new Promise((resolve) => {
    stream.on('close', () => {
      const status = headers[':status'];
      const body = Buffer.concat(chunks);
      resolve({ status, headers, trailers, body, informational, isHeadOnly, resetCode: stream.rstCode });
    });
  });
}
