// A request body over node:http.
// Must not read before it is asked to, and must not wait for ever.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { GatewayError } from '../core/errors.ts';
import type { BodySink, BodySource } from '../core/ports.ts';

/** Body bytes read and thrown away so that a refused client can reuse its connection; more is not worth it. */
const MAX_DISCARD_BYTES: number = 256 * 1024;
/** Longest wait for the rest of a body that nobody reads. */
const DISCARD_MS = 2_000;

/** Is what is known of a body before it comes. */
export interface NodeBodyOptions {
  readonly length: number | undefined;
  readonly expectsContinue: boolean;
  /** Longest silence of a client whose bytes are waited for, in milliseconds. */
  readonly idleMs: number;
}

/** Is the body of one request. */
export class NodeBody implements BodySource {
  readonly length: number | undefined;
  bytesRead = 0;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #options: NodeBodyOptions;
  #sink: BodySink | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isPaused = false;
  #hasFailed = false;

  constructor(request: IncomingMessage, response: ServerResponse, options: NodeBodyOptions) {
    this.#request = request;
    this.#response = response;
    this.#options = options;
    this.length = options.length;
  }

  start(sink: BodySink): void {
    const request = this.#request;
    this.#sink = sink;
    // The client left before anybody read: no event will tell that any more.
    if (request.destroyed) {
      queueMicrotask(() => this.#fail(new Error('the client broke off')));
      return;
    }
    // The client waits for leave to send: it is given only now that somebody reads. RFC 9110 section 10.1.1.
    if (this.#options.expectsContinue) this.#response.writeContinue();
    this.#timer = setTimeout(() => this.#expire(), this.#options.idleMs);
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
    // Nobody may pause what is being thrown away.
    if (!this.#sink) return;
    this.#isPaused = true;
    this.#request.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    if (this.#sink) this.#timer?.refresh();
    this.#request.resume();
  }

  discard(): void {
    this.#sink = undefined;
    clearTimeout(this.#timer);
    const rest = (this.length ?? Number.POSITIVE_INFINITY) - this.bytesRead;
    const isWaiting = this.#options.expectsContinue && this.bytesRead === 0;
    const isTooLate = this.#hasFailed || rest > MAX_DISCARD_BYTES || isWaiting;
    if (!this.#request.complete && isTooLate) this.#response.shouldKeepAlive = false;
    this.#request.resume();
  }

  /** Reads the rest of a body that the answer did not wait for, within bounds; else closes the connection. */
  end(): void {
    const request = this.#request;
    this.#sink = undefined;
    clearTimeout(this.#timer);
    if (request.complete || request.destroyed) return;
    let bytes = 0;
    const timer = setTimeout(() => request.socket.destroy(), DISCARD_MS);
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_DISCARD_BYTES) request.socket.destroy();
    });
    request.on('close', () => clearTimeout(timer));
    request.resume();
  }

  #expire(): void {
    // Whoever does not read must not blame the client for the silence.
    if (this.#isPaused) this.#timer?.refresh();
    else this.#fail(new GatewayError('REQUEST_TIMEOUT', 'the request body took too long to arrive'));
  }

  #end(): void {
    clearTimeout(this.#timer);
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end();
  }

  #fail(error: Error): void {
    clearTimeout(this.#timer);
    this.#hasFailed = true;
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.fail(error);
  }
}
