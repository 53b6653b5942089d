// Follows HTTP/2 frames by their heads, and says where a connection stops being well framed.
// Must not read what frames carry, nor keep any of it.
import { constants } from 'node:http2';

/** Says who sends the frames. */
export type FrameSender = 'client' | 'target';

/** What a client begins with. RFC 9113 section 3.4. */
const PREFACE_BYTES = 24;
const HEAD_BYTES = 9;
/** Bytes behind a head that tell whether what follows fits into the frame: a pad length, or the length of an origin. */
const MAX_PREFIX_BYTES = 2;
/** Longest payload: neither side of the gateway allows more. RFC 9113 section 6.5.2. */
const MAX_PAYLOAD_BYTES = 16_384;
const PRIORITY_BYTES = 5;

const DATA = 0;
const HEADERS = 1;
const PRIORITY = 2;
const RST_STREAM = 3;
const SETTINGS = 4;
const PUSH_PROMISE = 5;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;
/** RFC 7838 section 4. */
const ALTSVC = 10;
/** RFC 9218 section 7.1. */
const PRIORITY_UPDATE = 16;

const { NGHTTP2_FRAME_SIZE_ERROR: FRAME_SIZE_ERROR, NGHTTP2_PROTOCOL_ERROR: PROTOCOL_ERROR } = constants;
const { NGHTTP2_FLAG_ACK, NGHTTP2_FLAG_END_HEADERS, NGHTTP2_FLAG_PADDED, NGHTTP2_FLAG_PRIORITY } = constants;

/**
 * Judges the bytes of one side of a connection, in whatever pieces they come. Besides sizes it holds to the order of CONTINUATION
 * and to paddings: nghttp2 below 1.68.1 may lose its place behind one that is wrong, and must see every frame where this does.
 */
export class FrameGuard {
  /** Error code of RFC 9113 section 7 for what was wrong; 0 as long as nothing was. */
  error = 0;
  readonly #sender: FrameSender;
  readonly #head = new Uint8Array(HEAD_BYTES + MAX_PREFIX_BYTES);
  #headBytes = 0;
  /** How many make a head: more than 9 where the payload says how long a part of it is. */
  #wantedBytes: number = HEAD_BYTES;
  /** What is left of the payload, or of the preface. */
  #leftBytes: number;
  /** Of the header block that goes on in the next frame; 0 when none does. */
  #openBlock = 0;

  constructor(sender: FrameSender) {
    this.#sender = sender;
    this.#leftBytes = sender === 'client' ? PREFACE_BYTES : 0;
  }

  /** Gives how many of these bytes may be read; fewer than all when `error` is set, and none from then on. */
  check(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && this.error === 0) {
      if (this.#leftBytes > 0) {
        const skipped = Math.min(this.#leftBytes, bytes.length - at);
        this.#leftBytes -= skipped;
        at += skipped;
        continue;
      }
      this.#head[this.#headBytes++] = bytes[at] ?? 0;
      if (this.#headBytes === this.#wantedBytes) this.#judge();
      // A head that is never whole does nothing: what came of it before may have been passed on.
      if (this.error === 0) at++;
    }
    return at;
  }

  #judge(): void {
    const frame = readHead(this.#head);
    if (this.#headBytes === HEAD_BYTES) {
      this.error = judgeOrder(frame, this.#openBlock) || judgeSize(frame, this.#sender);
      this.#wantedBytes = HEAD_BYTES + countPrefix(frame, this.#sender);
      if (this.error !== 0 || this.#wantedBytes > HEAD_BYTES) return;
    } else {
      this.error = judgePrefix(frame, this.#head);
      if (this.error !== 0) return;
    }
    if (frame.type === HEADERS || frame.type === PUSH_PROMISE || frame.type === CONTINUATION) {
      this.#openBlock = has(frame, NGHTTP2_FLAG_END_HEADERS) ? 0 : frame.stream;
    }
    this.#leftBytes = frame.length - (this.#headBytes - HEAD_BYTES);
    this.#headBytes = 0;
    this.#wantedBytes = HEAD_BYTES;
  }
}

interface FrameHead {
  readonly length: number;
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

function readHead(head: Uint8Array): FrameHead {
  const [a = 0, b = 0, c = 0, type = 0, flags = 0, d = 0, e = 0, f = 0, g = 0] = head;
  return { length: (a << 16) | (b << 8) | c, type, flags, stream: ((d & 0x7f) << 24) | (e << 16) | (f << 8) | g };
}

function has({ flags }: FrameHead, flag: number): boolean {
  return (flags & flag) !== 0;
}

/** Says whether a frame may come here. RFC 9113 section 6.10. */
function judgeOrder({ type, stream }: FrameHead, openBlock: number): number {
  const isExpected = openBlock === 0 ? type !== CONTINUATION : type === CONTINUATION && stream === openBlock;
  return isExpected ? 0 : PROTOCOL_ERROR;
}

/** Says whether a frame of this length can be one of its type. RFC 9113 sections 4.2 and 6. */
function judgeSize(frame: FrameHead, sender: FrameSender): number {
  const { length, type } = frame;
  if (length > MAX_PAYLOAD_BYTES) return FRAME_SIZE_ERROR;
  const isPadded = has(frame, NGHTTP2_FLAG_PADDED) && (type === DATA || type === HEADERS || type === PUSH_PROMISE);
  if (isPadded) return length === 0 ? PROTOCOL_ERROR : 0;
  return fits(frame, sender) ? 0 : FRAME_SIZE_ERROR;
}

function fits(frame: FrameHead, sender: FrameSender): boolean {
  const { length, type } = frame;
  switch (type) {
    case HEADERS:
    case PUSH_PROMISE:
      return length >= countFixed(frame);
    case PRIORITY:
      return length === PRIORITY_BYTES;
    case RST_STREAM:
    case WINDOW_UPDATE:
      return length === 4;
    case SETTINGS:
      return has(frame, NGHTTP2_FLAG_ACK) ? length === 0 : length % 6 === 0;
    case PING:
      return length === 8;
    case GOAWAY:
      return length >= 8;
    // Whoever serves has to ignore it.
    case ALTSVC:
      return sender === 'client' || length >= 2;
    case PRIORITY_UPDATE:
      return length >= 4;
    default:
      return true;
  }
}

/** Counts bytes that come before a header block whatever its padding. */
function countFixed(frame: FrameHead): number {
  if (frame.type === PUSH_PROMISE) return 4;
  return frame.type === HEADERS && has(frame, NGHTTP2_FLAG_PRIORITY) ? PRIORITY_BYTES : 0;
}

function countPrefix(frame: FrameHead, sender: FrameSender): number {
  if (frame.type === ALTSVC && sender === 'target') return 2;
  const isPaddable = frame.type === DATA || frame.type === HEADERS || frame.type === PUSH_PROMISE;
  return isPaddable && has(frame, NGHTTP2_FLAG_PADDED) ? 1 : 0;
}

/** Says whether the part whose length the payload begins with fits into the frame. */
function judgePrefix(frame: FrameHead, head: Uint8Array): number {
  const [first = 0, second = 0] = head.subarray(HEAD_BYTES);
  if (frame.type === ALTSVC) return 2 + ((first << 8) | second) > frame.length ? FRAME_SIZE_ERROR : 0;
  return 1 + countFixed(frame) + first > frame.length ? PROTOCOL_ERROR : 0;
}
