// Carries a body through a transform that may take its time: in order, with backpressure, never more than a few chunks held.
// Must not know which way the body flows, nor what the transform does.
import type { MaybePromise } from '../plugin.ts';

/** Most chunks held while a transform or a hook takes its time; the wire gives 64 KiB at a time at most. */
const MAX_HELD_CHUNKS = 4;
const NO_BYTES = new Uint8Array(0);

/** Passes one chunk on, changed or dropped (null). */
export type ChunkTransform = (chunk: Uint8Array, last: boolean) => MaybePromise<Uint8Array | null>;

/** Is where chunks go. */
export interface ChunkOutlet {
  /** Undefined = chunks pass as they are. */
  readonly transform: ChunkTransform | undefined;
  /** Gives false when the source should pause until it is told to go on. */
  write(chunk: Uint8Array): boolean;
  end(trailers: readonly string[] | undefined): void;
  /** Tells the source to go on. */
  resume(): void;
  /** Hears what the transform threw; nothing is written after it. */
  onFailure(error: unknown): void;
}

/** Is a body on its way. A transform without a promise costs no promise. */
export class ChunkPipe {
  readonly #outlet: ChunkOutlet;
  readonly #held: Uint8Array[] = [];
  #isHolding: boolean;
  #isBusy = false;
  #isOver = false;
  #hasEnded = false;
  #mustResume = false;
  #trailers: readonly string[] | undefined;

  /** `isHolding`: nothing passes before `release`. */
  constructor(outlet: ChunkOutlet, isHolding = false) {
    this.#outlet = outlet;
    this.#isHolding = isHolding;
  }

  /** Takes a chunk; gives false when the source should pause. */
  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return true;
    if (!this.#isHolding && !this.#isBusy) return this.#pass(chunk, false);
    this.#held.push(chunk);
    // Within bounds the source is read on: else it would not be seen when it breaks off.
    this.#mustResume = this.#held.length >= MAX_HELD_CHUNKS;
    return !this.#mustResume;
  }

  end(trailers: readonly string[] | undefined): void {
    this.#hasEnded = true;
    this.#trailers = trailers;
    if (!this.#isHolding && !this.#isBusy) this.#finish();
  }

  /** Hears that there is room behind; the source goes on unless chunks are held here. */
  resume(): void {
    if (this.#isHolding || this.#isBusy) this.#mustResume = true;
    else this.#outlet.resume();
  }

  /** Lets pass what was held from the beginning. */
  release(): void {
    this.#isHolding = false;
    this.#mustResume = true;
    this.#advance(true);
  }

  /** Lets nothing pass any more, not even what a transform still gives. */
  close(): void {
    this.#isOver = true;
    this.#held.length = 0;
  }

  #pass(chunk: Uint8Array, last: boolean): boolean {
    const { transform } = this.#outlet;
    if (!transform) return this.#write(chunk);
    try {
      const result = transform(chunk, last);
      if (!(result instanceof Promise)) return this.#write(result);
      this.#isBusy = true;
      result.then(
        (passed) => this.#settle(passed, last),
        (error: unknown) => this.#fail(error),
      );
      return true;
    } catch (error) {
      this.#fail(error);
      return true;
    }
  }

  #settle(passed: Uint8Array | null, last: boolean): void {
    this.#isBusy = false;
    if (this.#isOver) return;
    const mayGoOn = this.#write(passed);
    if (last) this.#outlet.end(this.#trailers);
    else this.#advance(mayGoOn);
  }

  /** Passes on what is held, and when nothing is left, tells the source to go on or the outlet that it is the end. */
  #advance(mayGoOn: boolean): void {
    let hasRoom = mayGoOn;
    while (!this.#isBusy && !this.#isOver) {
      const chunk = this.#held.shift();
      if (!chunk) break;
      hasRoom = this.#pass(chunk, false);
    }
    if (this.#isBusy || this.#isOver) return;
    if (this.#hasEnded) {
      this.#finish();
      return;
    }
    // Without room it is who makes some that calls `resume`.
    if (this.#mustResume && hasRoom) this.#outlet.resume();
    this.#mustResume = false;
  }

  #finish(): void {
    if (this.#isOver) return;
    if (this.#outlet.transform) this.#pass(NO_BYTES, true);
    if (!this.#isBusy && !this.#isOver) this.#outlet.end(this.#trailers);
  }

  #write(chunk: Uint8Array | null): boolean {
    return chunk === null || chunk.length === 0 || this.#outlet.write(chunk);
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.close();
    this.#outlet.onFailure(error);
  }
}
