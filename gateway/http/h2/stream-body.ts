// The body of one request as DATA frames: bounded in silence and in slowness, read only as fast as it is taken.
// Must not take a body that broke off for a whole one.
import type { ServerHttp2Stream } from 'node:http2';
import { GatewayError } from '../../core/errors.ts';
import type { BodySink, BodySource } from '../../core/ports.ts';
import { BodyPace } from '../message/body-pace.ts';
import type { Deadlines, Timed } from '../message/deadlines.ts';
import type { RequestHead } from './request-head.ts';
import type { TrafficWatch } from './traffic-watch.ts';

/** Body bytes read and thrown away after the answer, so that a small rest does not reset the stream. */
const MAX_DISCARD_BYTES = 256 * 1024;

/** Is what a body needs of its session. */
export interface BodyOwner {
  readonly deadlines: Deadlines;
  readonly traffic: TrafficWatch;
}

/** Is the body of one request. */
export class StreamBody implements BodySource, Timed {
  readonly length: number | undefined;
  readonly expectsContinue: boolean;
  bytesRead = 0;
  /** Everything has come, or it broke off. */
  isDone = false;
  deadlineMs: number = Number.POSITIVE_INFINITY;
  slot = -1;
  readonly #stream: ServerHttp2Stream;
  readonly #owner: BodyOwner;
  /** Undefined = it may take its time. */
  #pace: BodyPace | undefined;
  #sink: BodySink | undefined;
  #trailers: readonly string[] | undefined;
  #error: Error | undefined;
  #isPaused = false;
  #isDiscarded = false;
  #isFlowing = false;
  #discarded = 0;

  constructor(stream: ServerHttp2Stream, owner: BodyOwner, head: RequestHead, idleMs: number) {
    this.#stream = stream;
    this.#owner = owner;
    this.length = head.length;
    this.expectsContinue = head.expectsContinue;
    this.#pace = new BodyPace(idleMs);
    // Told when they come, which may be before anybody reads.
    stream.on('trailers', (_fields, _flags, raw?: readonly string[]) => {
      this.#trailers = raw;
    });
  }

  start(sink: BodySink): void {
    if (this.#error) {
      const error = this.#error;
      queueMicrotask(() => sink.fail(error));
      return;
    }
    this.#sink = sink;
    // The client waits for leave to send: it is given only now that somebody reads.
    if (this.expectsContinue && this.bytesRead === 0 && !this.#stream.headersSent && !this.#stream.closed) {
      this.#stream.additionalHeaders({ ':status': 100 });
    }
    this.#beginToWait();
    this.#flow();
  }

  pause(): void {
    // Nobody may pause what is being thrown away.
    if (this.#isPaused || this.isDone || this.#isDiscarded) return;
    this.#isPaused = true;
    this.#pace?.rest();
    this.deadlineMs = Number.POSITIVE_INFINITY;
    this.#stream.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#beginToWait();
    this.#stream.resume();
  }

  discard(): void {
    if (this.#isDiscarded || this.isDone) return;
    this.#isDiscarded = true;
    this.#sink = undefined;
    this.#isPaused = false;
    this.deadlineMs = Number.POSITIVE_INFINITY;
    if (this.#isFlowing) this.#stream.resume();
    else this.#flow();
  }

  allowSilence(): void {
    this.#pace = undefined;
    this.deadlineMs = Number.POSITIVE_INFINITY;
  }

  /** Ends early: the client broke off, or is too slow. */
  fail(error: Error): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#error = error;
    this.#owner.deadlines.forget(this);
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.fail(error);
  }

  expire(): void {
    this.fail(new GatewayError('REQUEST_TIMEOUT', 'the request body took too long to arrive'));
  }

  #flow(): void {
    this.#isFlowing = true;
    const stream = this.#stream;
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('end', () => this.#end());
  }

  #take(chunk: Buffer): void {
    this.#owner.traffic.countRead(chunk.length);
    if (this.#isDiscarded) {
      this.#discarded += chunk.length;
      // Its window closes, and the stream is reset once the answer is out.
      if (this.#discarded > MAX_DISCARD_BYTES) this.#stream.pause();
      return;
    }
    this.bytesRead += chunk.length;
    if (!this.#sink) return;
    this.#beginToWait();
    if (!this.#sink.write(chunk)) this.pause();
  }

  #end(): void {
    if (this.isDone) return;
    // A reset without an error code ends the stream like its last frame does.
    if (this.#stream.aborted || (this.length !== undefined && !this.#isDiscarded && this.bytesRead !== this.length)) {
      this.fail(new Error('the client broke off'));
      return;
    }
    this.isDone = true;
    this.#owner.deadlines.forget(this);
    const sink = this.#sink;
    this.#sink = undefined;
    // The core expects trailers only where the length was unknown, as in HTTP/1.1.
    sink?.end(this.length === undefined ? this.#trailers : undefined);
  }

  #beginToWait(): void {
    if (!this.#pace) return;
    this.deadlineMs = this.#pace.wait(this.bytesRead);
    if (this.slot === -1) this.#owner.deadlines.watch(this);
  }
}
