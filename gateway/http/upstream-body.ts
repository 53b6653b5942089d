// A request body as undici takes it: a stream that reads its source only as fast as the target does.
// Must not time anything: it says whose turn it is.
import { Readable } from 'node:stream';
import type { BodySource } from '../core/ports.ts';

/** Hears how a body fares. */
export interface BodyListener {
  /** `isAwaited`: the next bytes are the client's to send; else the target has to read, or has them all. */
  onProgress(isAwaited: boolean): void;
  onFailure(): void;
}

/** Wraps a body; nothing is read before undici reads. */
export function toReadable(source: BodySource, listener: BodyListener): Readable {
  let hasStarted = false;
  const stream: Readable = new Readable({
    read() {
      listener.onProgress(true);
      if (hasStarted) {
        source.resume();
        return;
      }
      hasStarted = true;
      source.start({
        write(chunk) {
          const mayGoOn = stream.push(chunk);
          listener.onProgress(mayGoOn);
          return mayGoOn;
        },
        end() {
          listener.onProgress(false);
          stream.push(null);
        },
        fail(error) {
          listener.onFailure();
          stream.destroy(error);
        },
      });
    },
  });
  // The error reaches the handler through undici; a stream without a listener would bring the process down.
  stream.on('error', () => undefined);
  return stream;
}
