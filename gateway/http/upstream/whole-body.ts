// A body at hand whole, sent as if it came: in pieces, as fast as the target takes them.
// Must not copy it.
import type { BodySink, BodySource } from '../../core/ports.ts';

/** As much as a socket holds before it asks for patience. */
const PIECE_BYTES = 64 * 1024;

/** Hands a body on piece by piece. In one write nobody would learn that the target is slow, and not silent. */
export class WholeBody implements BodySource {
  readonly expectsContinue = false;
  bytesRead = 0;
  readonly #body: Uint8Array;
  #sink: BodySink | undefined;

  constructor(body: Uint8Array) {
    this.#body = body;
  }

  get length(): number {
    return this.#body.length;
  }

  start(sink: BodySink): void {
    this.#sink = sink;
    this.resume();
  }

  pause(): void {
    // Its sink says with each piece whether it takes another.
  }

  resume(): void {
    const sink = this.#sink;
    while (sink && this.bytesRead < this.length) {
      const piece = this.#body.subarray(this.bytesRead, this.bytesRead + PIECE_BYTES);
      this.bytesRead += piece.length;
      if (!sink.write(piece) && this.bytesRead < this.length) return;
    }
    this.#sink = undefined;
    sink?.end();
  }

  discard(): void {
    this.#sink = undefined;
  }
}
