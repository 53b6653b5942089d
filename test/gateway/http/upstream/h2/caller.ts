// A client of targets, driven without a gateway: sends a request, and tells what came of it.
// Must not judge an outcome.
import type { Socket } from 'node:net';
import type {
  BodySink,
  BodySource,
  TargetAddress,
  UpstreamClient,
  UpstreamRequest,
} from '../../../../../gateway/core/ports.ts';
import { createUpstreamClient } from '../../../../../gateway/http/upstream/client.ts';
import { FLAG, FRAME, type Frame, frame } from '../../../../support/wire/h2-frames.ts';
import { startFrameOrigin } from '../../../../support/wire/h2-origin.ts';

/** Is what came of a request. */
export interface Outcome {
  status: number;
  readonly headers: string[];
  body: string;
  trailers: readonly string[] | undefined;
  readonly informational: number[];
  /** `done`, or the failure; ` (reused)` behind it. */
  end: string;
}

/** Is the head of a good response. */
export const OK: readonly (readonly [string, string])[] = [[':status', '200']];

/** Is a client, and what a test opened for it. */
export interface Caller {
  readonly client: UpstreamClient;
  /** Gives the address of an origin, which is closed with the caller. */
  addressOf(origin: Openable, changes?: Partial<TargetAddress>): TargetAddress;
  /** Sends a request and waits for its end, whatever that is. */
  send(address: TargetAddress, changes?: Partial<UpstreamRequest>): Promise<Outcome>;
  /** Closes this with the caller. */
  keep(close: () => unknown): void;
  close(): Promise<void>;
}

interface Openable {
  readonly port: number;
  close(): Promise<void>;
}

/** Is a request that asks for nothing special. */
export const REQUEST: UpstreamRequest = {
  method: 'GET',
  target: '/a?b',
  headers: ['Host', 'h.test', 'X-A', '1'],
  body: undefined,
  responseMs: 2_000,
  idleMs: 2_000,
};

/** Makes one. */
export function createCaller(): Caller {
  const client = createUpstreamClient();
  const closers: (() => unknown)[] = [() => client.close()];
  return {
    client,
    addressOf(origin, changes = {}) {
      closers.push(() => origin.close());
      return { protocol: 'h2c', host: '127.0.0.1', port: origin.port, connectMs: 2_000, tls: undefined, ...changes };
    },
    send: (address, changes) => send(client, address, { ...REQUEST, ...changes }),
    keep: (close) => void closers.push(close),
    async close() {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

function send(client: UpstreamClient, address: TargetAddress, request: UpstreamRequest): Promise<Outcome> {
  const outcome: Outcome = { status: 0, headers: [], body: '', trailers: undefined, informational: [], end: '' };
  return new Promise((resolve) => {
    const finish = (end: string): void => {
      outcome.end = end;
      resolve(outcome);
    };
    client.send(address, request, {
      onInformational: (status) => void outcome.informational.push(status),
      onUpgrade: () => finish('upgraded'),
      onHead(status, rawHeaders) {
        outcome.status = status;
        outcome.headers.push(...rawHeaders);
      },
      onChunk(chunk) {
        outcome.body += Buffer.from(chunk).toString('latin1');
        return true;
      },
      onEnd(trailers) {
        outcome.trailers = trailers;
        finish('done');
      },
      onError: (failure, _cause, wasReused) => finish(wasReused ? `${failure} (reused)` : failure),
    });
  });
}

/** Starts an origin that answers SETTINGS, and hands over the frames that begin a request. */
export function startFrames(onRequest: (frame: Frame, socket: Socket) => void): ReturnType<typeof startFrameOrigin> {
  return startFrameOrigin((one, socket) => {
    if (one.type === FRAME.settings && one.flags === 0) {
      socket.write(Buffer.concat([frame(FRAME.settings, 0, 0), frame(FRAME.settings, FLAG.ack, 0)]));
    } else if (one.type === FRAME.headers) onRequest(one, socket);
  });
}

/** Makes a body of the given pieces; without any it never ends. */
export function makeSource(
  pieces: readonly string[],
  options: { readonly trailers?: readonly string[]; readonly expectsContinue?: boolean; readonly error?: Error } = {},
): BodySource {
  let bytesRead = 0;
  return {
    length: undefined,
    expectsContinue: options.expectsContinue ?? false,
    get bytesRead() {
      return bytesRead;
    },
    start(sink: BodySink) {
      setImmediate(() => {
        for (const piece of pieces) {
          bytesRead += piece.length;
          sink.write(Buffer.from(piece));
        }
        if (options.error) setImmediate(() => sink.fail(options.error ?? new Error()));
        else if (pieces.length > 0) sink.end(options.trailers);
      });
    },
    pause: () => undefined,
    resume: () => undefined,
    discard: () => undefined,
  };
}
