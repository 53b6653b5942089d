// Holds the one WebSocket message that is sent, as frames either way, and reads a stream that repeats it.
// Must not read other frames than these.
import { createHash } from 'node:crypto';

/** Is the text of every message. */
const TEXT = Buffer.from('{"id":"1001","status":"packed"} .');
/** Any mask will do: the gateway must not care. */
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);
const FINAL_TEXT = 0x81;
const MASKED = 0x80;
/** RFC 6455 section 1.3. */
const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** Is the longest stretch that is compared at once. */
const COMPARED_BYTES = 65_536;

/** Is the message as clients send it. */
export const CLIENT_FRAME: Buffer = Buffer.concat([
  Buffer.from([FINAL_TEXT, MASKED | TEXT.length]),
  MASK,
  TEXT.map((byte, index) => byte ^ (MASK[index % 4] ?? 0)),
]);

/** Is the same message as it comes back. */
export const SERVER_FRAME: Buffer = Buffer.concat([Buffer.from([FINAL_TEXT, TEXT.length]), TEXT]);

/** Gives what a server answers to a `Sec-WebSocket-Key`. */
export function acceptKey(key: string): string {
  return createHash('sha1').update(`${key}${ACCEPT_SUFFIX}`).digest('base64');
}

/** Gives a frame `count` times over. */
export function repeatFrame(frame: Buffer, count: number): Buffer {
  return Buffer.alloc(frame.length * count, frame);
}

/** Counts frames in a stream that must hold nothing else; built for one frame, used by one connection. */
export interface FrameCounter {
  /** Takes bytes; gives how many frames they complete. @throws Error when they are other bytes. */
  count(chunk: Buffer): number;
}

/** Builds counters of one frame: they share what they compare with. */
export function defineFrameCounter(frame: Buffer): () => FrameCounter {
  const expected = repeatFrame(frame, Math.ceil(COMPARED_BYTES / frame.length) + 1);
  return () => {
    let at = 0;
    return {
      count(chunk) {
        let frames = 0;
        for (let from = 0; from < chunk.length; from += COMPARED_BYTES) {
          const part = chunk.subarray(from, from + COMPARED_BYTES);
          if (part.compare(expected, at, at + part.length) !== 0) throw new Error('other bytes than were sent');
          frames += Math.floor((at + part.length) / frame.length);
          at = (at + part.length) % frame.length;
        }
        return frames;
      },
    };
  };
}
