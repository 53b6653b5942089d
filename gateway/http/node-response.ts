// Writes one response over node:http.
// Must not decide what is answered.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OutgoingResponse } from '../core/ports.ts';

/** Largest body that is joined with its head. */
const MAX_JOINED_BYTES = 16 * 1024;

/** Is the response to one request. */
export class NodeResponse implements OutgoingResponse {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #isDraining: () => boolean;
  #length: number | undefined;
  #hasBegun = false;
  #whenClosed: ((isComplete: boolean) => void) | undefined;

  constructor(request: IncomingMessage, response: ServerResponse, isDraining: () => boolean) {
    this.#request = request;
    this.#response = response;
    this.#isDraining = isDraining;
  }

  writeHead(status: number, headers: readonly string[], bodyLength: number | undefined): void {
    this.#length = bodyLength;
    if (this.#isDraining()) this.#response.shouldKeepAlive = false;
    const isBodiless = status === 204 || status === 304;
    const lines =
      bodyLength === undefined || isBodiless ? [...headers] : [...headers, 'Content-Length', String(bodyLength)];
    this.#response.writeHead(status, lines);
    // A head whose body has not come by the end of this turn must not wait for it: that may take as long as it likes.
    if (bodyLength !== 0) process.nextTick(flushHead, this);
  }

  write(chunk: Uint8Array): boolean {
    this.#hasBegun = true;
    // A small body that came in one piece leaves with the head as one string: one write instead of two.
    if (chunk.length === this.#length && chunk.length <= MAX_JOINED_BYTES) {
      this.#response.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1'), 'latin1');
      // `end(text)` would append an empty piece, and two pieces take node's slow writev: a tenth of the CPU per request.
      this.#response.socket?.uncork();
      this.#response.end();
      return true;
    }
    return this.#response.write(chunk);
  }

  end(): void {
    this.#hasBegun = true;
    if (!this.#response.writableEnded) this.#response.end();
  }

  abort(): void {
    // A reset, not an end: to a client that reads until the connection closes an end would look like a whole message.
    this.#request.socket.resetAndDestroy();
  }

  closeAfter(): void {
    this.#response.shouldKeepAlive = false;
  }

  onDrain(callback: () => void): void {
    this.#response.once('drain', callback);
  }

  onClose(callback: (isComplete: boolean) => void): void {
    this.#whenClosed = callback;
  }

  /** Tells that the response is over: handed to the system whole, or the client left. */
  closed(): void {
    this.#whenClosed?.(this.#response.writableFinished);
  }

  /** Sends the head alone, unless the body has begun. */
  flushHead(): void {
    if (!this.#hasBegun && !this.#response.destroyed) this.#response.flushHeaders();
  }
}

// One function for all: a closure per response would cost on every request.
function flushHead(response: NodeResponse): void {
  response.flushHead();
}
