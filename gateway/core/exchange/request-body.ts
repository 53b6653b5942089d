// Request bodies on their way: collected for a plugin, or passed through chunk hooks.
// Must not hold more than it was allowed to.
import { GatewayError } from '../errors.ts';
import type { BodySink, BodySource } from '../ports.ts';
import { ChunkPipe, type ChunkTransform } from './chunk-pipe.ts';
import { readTrailers } from './trailers.ts';

/**
 * Collects a body.
 * @throws BODY_TOO_LARGE above maxBytes, known before reading when the length is; REQUEST_MALFORMED when it breaks off;
 * REQUEST_TIMEOUT when it stalls.
 */
export function collectBody(source: BodySource, maxBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const tooLarge = (): void =>
      reject(new GatewayError('BODY_TOO_LARGE', `the body is larger than ${maxBytes} bytes`));
    if ((source.length ?? 0) > maxBytes) {
      tooLarge();
      return;
    }
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    source.start({
      write(chunk) {
        bytes += chunk.length;
        if (bytes <= maxBytes) {
          chunks.push(chunk);
          return true;
        }
        chunks.length = 0;
        tooLarge();
        return false;
      },
      end: () => resolve(Buffer.concat(chunks)),
      fail: (cause) => reject(toBodyError(cause)),
    });
  });
}

/** Gives the answer to a body that ended early: what the source says, or that it broke off. */
function toBodyError(cause: Error): GatewayError {
  if (cause instanceof GatewayError) return cause;
  return new GatewayError('REQUEST_MALFORMED', 'the request body broke off', { cause });
}

/** Wraps a body so that every chunk passes a transform; its length is no longer known. */
export function transformBody(
  source: BodySource,
  transform: ChunkTransform,
  onFailure: (error: unknown) => void,
): BodySource {
  let pipe: ChunkPipe | undefined;
  return {
    length: undefined,
    expectsContinue: source.expectsContinue,
    get bytesRead() {
      return source.bytesRead;
    },
    start(sink: BodySink) {
      const open = new ChunkPipe({
        transform,
        onFailure,
        write: (chunk) => sink.write(chunk),
        end: (trailers) => sink.end(trailers),
        resume: () => source.resume(),
      });
      pipe = open;
      source.start({
        write: (chunk) => open.write(chunk),
        end: (trailers) => open.end(trailers),
        fail(error) {
          open.close();
          sink.fail(error);
        },
      });
    },
    pause: () => source.pause(),
    resume: () => (pipe ? pipe.resume() : source.resume()),
    discard() {
      pipe?.close();
      source.discard();
    },
  };
}

/** Wraps a chunked body so that only such trailers go on as may. */
export function filterTrailers(source: BodySource): BodySource {
  return {
    length: undefined,
    expectsContinue: source.expectsContinue,
    get bytesRead() {
      return source.bytesRead;
    },
    start(sink: BodySink) {
      source.start({
        write: (chunk) => sink.write(chunk),
        end: (trailers) => sink.end(trailers && readTrailers(trailers)),
        fail: (error) => sink.fail(error),
      });
    },
    pause: () => source.pause(),
    resume: () => source.resume(),
    discard: () => source.discard(),
  };
}
