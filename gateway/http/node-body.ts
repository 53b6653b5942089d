// A request body over node:http.
// Must not read before it is asked to, and must not wait for ever.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BodySink, BodySource } from '../core/ports.ts';

/** Longest silence of a client that owes body bytes. */
const BODY_IDLE_MS = 30_000;
/** Body bytes read and thrown away so that a refused client can reuse its connection; more is not worth it. */
export const MAX_DISCARD_BYTES: number = 256 * 1024;

/** Is the body of one request. */
export class NodeBody implements BodySource {
  readonly length: number | undefined;
  bytesRead = 0;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #expectsContinue: boolean;
  #sink: BodySink | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    options: { readonly length: number | undefined; readonly expectsContinue: boolean },
  ) {
    this.#request = request;
    this.#response = response;
    this.length = options.length;
    this.#expectsContinue = options.expectsContinue;
  }

  start(sink: BodySink): void {
    const request = this.#request;
    this.#sink = sink;
    // The client waits for leave to send: it is given only now that somebody reads. RFC 9110 section 10.1.1.
    if (this.#expectsContinue) this.#response.writeContinue();
    this.#timer = setTimeout(() => this.#fail(new Error('the request body stalled')), BODY_IDLE_MS);
    this.#timer.unref();
    request.on('data', (chunk: Buffer) => {
      this.#timer?.refresh();
      this.bytesRead += chunk.length;
      if (this.#sink && !this.#sink.write(chunk)) this.pause();
    });
    request.on('end', () => this.#end());
    request.on('close', () => {
      if (!request.complete) this.#fail(new Error('the client broke off'));
    });
  }

  pause(): void {
    this.#request.pause();
    // Whoever does not read must not blame the client for the silence.
    clearTimeout(this.#timer);
  }

  resume(): void {
    this.#timer?.refresh();
    this.#request.resume();
  }

  discard(): void {
    this.#sink = undefined;
    clearTimeout(this.#timer);
    const rest = (this.length ?? Number.POSITIVE_INFINITY) - this.bytesRead;
    const isWaiting = this.#expectsContinue && this.bytesRead === 0;
    if (!this.#request.complete && (rest > MAX_DISCARD_BYTES || isWaiting)) this.#response.shouldKeepAlive = false;
    this.#request.resume();
  }

  #end(): void {
    clearTimeout(this.#timer);
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end();
  }

  #fail(error: Error): void {
    clearTimeout(this.#timer);
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.fail(error);
  }
}
