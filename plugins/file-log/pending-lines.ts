// Lines that wait to be written, as bytes.
// Must not drop or break a line, nor bound them: who adds does that.

/** Size of a chunk, large because a write costs some 30 µs beside its bytes. A longer line gets a chunk of its own. */
const CHUNK_BYTES = 256 * 1024;

/** Most bytes of UTF-8 that one UTF-16 unit becomes. */
const BYTES_PER_UNIT = 3;

/** Gathers lines in chunks of whole lines. As strings they would wait in hundreds of pieces, copied by every scavenge. */
export class PendingLines {
  readonly #full: Buffer[] = [];
  #chunk: Buffer = Buffer.alloc(0);
  #used = 0;
  #bytes = 0;

  /** Bytes that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Says whether a chunk waits to which nothing will be added. */
  get hasFull(): boolean {
    return this.#full.length > 0;
  }

  add(line: string): void {
    const most = line.length * BYTES_PER_UNIT;
    if (this.#used + most > this.#chunk.length) {
      this.#close();
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(most, CHUNK_BYTES));
    }
    const written = this.#chunk.write(line, this.#used);
    this.#used += written;
    this.#bytes += written;
  }

  /** Takes the oldest chunk out, full or not; undefined = nothing waits. */
  take(): Buffer | undefined {
    if (!this.hasFull) this.#close();
    const taken = this.#full.shift();
    this.#bytes -= taken?.length ?? 0;
    return taken;
  }

  /** Ends the chunk; what is left of its memory becomes the next one. */
  #close(): void {
    if (this.#used > 0) this.#full.push(this.#chunk.subarray(0, this.#used));
    this.#chunk = this.#chunk.subarray(this.#used);
    this.#used = 0;
  }
}
