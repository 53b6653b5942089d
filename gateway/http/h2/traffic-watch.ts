// What came on a connection since it was last looked at: too much that carries nothing, or nothing at all.
// Must not act on it.

/** Bytes that may come between two looks beside those that carry something; beyond, 8 for each of these. */
const FREE_BYTES = 1024 * 1024;
const BYTES_PER_PAYLOAD_BYTE = 8;
/** Until somebody reads it, a byte of a body allows for no more than itself. */
const BYTES_PER_WAITING_BYTE = 1;
/** Bytes that each piece of a body counts beside its own: what waits costs memory by the piece too. */
const BYTES_PER_PIECE = 16;
/** WINDOW_UPDATE for a piece of a body that is sent: 13 bytes for each of two windows, and as much for each 416 bytes of it. */
const BYTES_PER_SENT_PIECE = 26;
const SENT_BYTES_PER_BYTE = 16;
/** Silence after which a client that is owed an answer is asked whether it still lives. */
const SILENT_MS = 15_000;
/** How long it may take to say so. */
const ANSWER_MS = 5_000;

/** Says how a connection fares: `silent` once, when its client should be asked; `dead` when it did not say anything then. */
export type TrafficVerdict = 'fine' | 'flooded' | 'silent' | 'dead';

/** Judges a connection by its bytes. */
export class TrafficWatch {
  /** Bytes that what came since the last look allows for, beside the free ones. */
  #allowedBytes = 0;
  #bytesBefore = 0;
  #heardMs: number;
  #wasAsked = false;

  constructor(nowMs: number) {
    this.#heardMs = nowMs;
  }

  /** Counts bytes of a head. */
  countHead(bytes: number): void {
    this.#allowedBytes += BYTES_PER_PAYLOAD_BYTE * bytes;
  }

  /** Counts a piece of a body as it comes: it may wait for its reader for longer than until the next look. */
  countArrived(bytes: number): void {
    this.#allowedBytes += BYTES_PER_WAITING_BYTE * bytes - BYTES_PER_PIECE;
  }

  /** Counts the same bytes once more as they are read. */
  countRead(bytes: number): void {
    this.#allowedBytes += (BYTES_PER_PAYLOAD_BYTE - BYTES_PER_WAITING_BYTE) * bytes;
  }

  /** Counts a piece of a body that is sent: windows are opened anew for it, by some clients for each frame. */
  countSent(bytes: number): void {
    this.#allowedBytes += BYTES_PER_SENT_PIECE + bytes / SENT_BYTES_PER_BYTE;
  }

  /** `bytesRead`: all that came on the connection so far. */
  look(bytesRead: number, nowMs: number): TrafficVerdict {
    const came = bytesRead - this.#bytesBefore;
    const isFlooded = came > FREE_BYTES + this.#allowedBytes;
    this.#bytesBefore = bytesRead;
    this.#allowedBytes = 0;
    if (isFlooded) return 'flooded';
    if (came > 0) {
      this.#heardMs = nowMs;
      this.#wasAsked = false;
      return 'fine';
    }
    const silentMs = nowMs - this.#heardMs;
    if (silentMs >= SILENT_MS + ANSWER_MS) return 'dead';
    if (silentMs < SILENT_MS || this.#wasAsked) return 'fine';
    this.#wasAsked = true;
    return 'silent';
  }
}
