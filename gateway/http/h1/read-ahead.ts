// What a client sent behind the request that is being answered.
// Must not read it.

/** Most bytes of pipelined requests that are read ahead; beyond, the connection is not read until some are answered. */
const MAX_AHEAD_BYTES = 64 * 1024;

/** Keeps bytes until it is their turn. */
export class ReadAhead {
  #bytes: Buffer | undefined;

  /** Says that no more should be read for now. Within bounds the connection is read on, to see when the client leaves. */
  get isFull(): boolean {
    return this.#bytes !== undefined && this.#bytes.length > MAX_AHEAD_BYTES;
  }

  /** Says that nothing came. */
  get isEmpty(): boolean {
    return this.#bytes === undefined;
  }

  /** Adds a copy: the bytes are lent. */
  add(lent: Buffer): void {
    this.#bytes = Buffer.concat(this.#bytes ? [this.#bytes, lent] : [lent]);
  }

  /** Gives everything, and forgets it. */
  take(): Buffer | undefined {
    const bytes = this.#bytes;
    this.#bytes = undefined;
    return bytes;
  }
}
