// How a stream of node:http2 ended, which it does not tell by itself.
// Must be asked before a response is taken for whole.
import { type ClientHttp2Stream, constants } from 'node:http2';
import { Readable } from 'node:stream';

interface WatchedStream extends ClientHttp2Stream {
  hasEndStream?: boolean;
}

/**
 * Notes whether the last frame of a response came. A stream that is reset without an error code ends like one whose
 * END_STREAM came, and half a response would be taken for a whole one. Bytes end by that frame while the stream is open, and
 * otherwise because it is closed: `push(null)` tells the two apart.
 */
export function watchEnd(stream: ClientHttp2Stream): void {
  stream.push = pushWatched;
  // `close` follows, and its code says more.
  stream.on('error', () => undefined);
}

/** Says whether the last frame of the response came. */
export function hasEndStream(stream: ClientHttp2Stream): boolean {
  return (stream as WatchedStream).hasEndStream === true;
}

/**
 * Says whether the stream closed after the last frame of the response: a target that answers before it has read the request
 * resets it with NO_ERROR, RFC 9113 section 8.1, and some with CANCEL. What was not read by then is still at hand.
 */
export function isCutShort(stream: ClientHttp2Stream): boolean {
  const { rstCode } = stream;
  if (!stream.destroyed || !hasEndStream(stream)) return false;
  return rstCode === constants.NGHTTP2_NO_ERROR || rstCode === constants.NGHTTP2_CANCEL;
}

function pushWatched(this: WatchedStream, chunk: unknown, encoding?: BufferEncoding): boolean {
  if (chunk === null && !this.closed) this.hasEndStream = true;
  return Readable.prototype.push.call(this, chunk, encoding);
}

/** Resets a stream with CANCEL when it is destroyed with it: node:http2 does so for its own kind of error only. */
export const ABORTED: Error = makeAbortError();

function makeAbortError(): Error {
  const stream = new Readable({ signal: AbortSignal.abort() });
  stream.on('error', () => undefined);
  return stream.errored ?? new Error('aborted');
}
