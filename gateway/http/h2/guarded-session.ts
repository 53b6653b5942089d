// Keeps from node:http2 the frames on which the nghttp2 of older versions of Node ends the process.
// Must not change bytes, nor be used where the library is newer: every byte goes through JavaScript once more.
import { constants, type Http2Session } from 'node:http2';
import { Duplex } from 'node:stream';
import { FrameGuard, type FrameSender } from './frame-guard.ts';

/** The first nghttp2 without the flaw. @see CVE-2026-27135 */
const FIXED_VERSION = [1, 68, 1] as const;
const GOAWAY_BYTES = 17;

/** Opens a session over a socket, on which nothing else may be read or written from then on; guarded where that is needed. */
export function openSession<Session extends Http2Session>(
  socket: Duplex,
  sender: FrameSender,
  open: (stream: Duplex) => Session,
): Session {
  return needsGuard(process.versions['nghttp2']) ? openGuarded(socket, sender, open) : open(socket);
}

/** Says whether a version of nghttp2 has to be guarded; one that is not known has. */
export function needsGuard(version: string | undefined): boolean {
  const parts =
    /^(\d+)\.(\d+)\.(\d+)/
      .exec(version ?? '')
      ?.slice(1)
      .map(Number) ?? [];
  for (const [index, fixed] of FIXED_VERSION.entries()) {
    const part = parts[index] ?? 0;
    if (part !== fixed) return part < fixed;
  }
  return false;
}

/** Opens a session that is told GOAWAY and ended at the first frame that cannot be one, and never sees it. */
export function openGuarded<Session extends Http2Session>(
  socket: Duplex,
  sender: FrameSender,
  open: (stream: Duplex) => Session,
): Session {
  const guarded = new GuardedSocket(socket, sender, (errorCode) => {
    session.destroy(new Error('the frames cannot be read on'), errorCode);
  });
  const session = open(guarded.stream);
  const destroy = session.destroy.bind(session);
  // node:http2 itself comes by here too, and closes in silence while a write is under way, which over a stream takes a turn of the loop.
  session.destroy = (error, code = error ? constants.NGHTTP2_INTERNAL_ERROR : constants.NGHTTP2_NO_ERROR) => {
    const { lastProcStreamID = 0 } = session.state;
    // Said twice it means the same.
    if (code !== constants.NGHTTP2_NO_ERROR) guarded.lastWords ??= buildGoaway(lastProcStreamID, code);
    destroy(error, code);
  };
  return session;
}

/** Is a socket as node:http2 gets to see it. */
class GuardedSocket {
  readonly stream: Duplex;
  /** Sent before the end. */
  lastWords: Buffer | undefined;
  readonly #socket: Duplex;
  readonly #guard: FrameGuard;
  readonly #onBroken: (errorCode: number) => void;

  constructor(socket: Duplex, sender: FrameSender, onBroken: (errorCode: number) => void) {
    this.#socket = socket;
    this.#guard = new FrameGuard(sender);
    this.#onBroken = onBroken;
    this.stream = new Duplex({
      read: () => void socket.resume(),
      write: (bytes: Buffer, _encoding, done) => this.#write([{ chunk: bytes }], done),
      writev: (pieces, done) => this.#write(pieces, done),
      final: (done) => void (this.lastWords ? socket.end(this.lastWords, done) : socket.end(done)),
      destroy(error, done) {
        socket.destroy(error ?? undefined);
        done(error);
      },
    });
    socket.on('data', (bytes: Buffer) => this.#take(bytes));
    socket.on('end', () => this.stream.push(null));
    socket.on('error', (error) => this.stream.destroy(error));
    socket.on('close', () => this.stream.destroy());
  }

  #take(bytes: Buffer): void {
    if (this.#guard.error !== 0 || this.stream.destroyed) return;
    const good = this.#guard.check(bytes);
    const goesOn = good === 0 || this.stream.push(good === bytes.length ? bytes : bytes.subarray(0, good));
    if (this.#guard.error !== 0) this.#onBroken(this.#guard.error);
    else if (!goesOn) this.#socket.pause();
  }

  #write(pieces: readonly { readonly chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const last = pieces.length - 1;
    this.#socket.cork();
    // Writes end in order, and when one fails so do all behind it.
    for (const [index, { chunk }] of pieces.entries()) this.#socket.write(chunk, index === last ? done : undefined);
    this.#socket.uncork();
  }
}

function buildGoaway(lastStreamId: number, errorCode: number): Buffer {
  const goaway = Buffer.alloc(GOAWAY_BYTES);
  goaway[2] = GOAWAY_BYTES - 9;
  goaway[3] = 7;
  goaway.writeUInt32BE(lastStreamId, 9);
  goaway.writeUInt32BE(errorCode, 13);
  return goaway;
}
