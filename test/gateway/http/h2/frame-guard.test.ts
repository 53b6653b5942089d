// Which frames the guard lets through, in whatever pieces they come.
// Must not open a connection.
import assert from 'node:assert/strict';
import { FrameGuard, type FrameSender } from '../../../../gateway/http/h2/frame-guard.ts';
import { FLAG, FRAME, frame } from '../../../support/h2-frames.ts';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const ALTSVC = 10;
const PRIORITY_UPDATE = 16;
const FRAME_SIZE_ERROR = 6;
const PROTOCOL_ERROR = 1;
const { ack, endHeaders, padded, priority } = FLAG;

/** Frames in their order, and the error at the last; where nothing is named, a target sends them. */
const CASES: readonly (readonly [string, readonly Buffer[], number, FrameSender?])[] = [
  ['SETTINGS of two values', [frame(FRAME.settings, 0, 0, Buffer.alloc(12))], 0],
  ['SETTINGS of a value and a half', [frame(FRAME.settings, 0, 0, Buffer.alloc(9))], FRAME_SIZE_ERROR],
  ['an acknowledgement', [frame(FRAME.settings, ack, 0)], 0],
  ['an acknowledgement with a value', [frame(FRAME.settings, ack, 0, Buffer.alloc(6))], FRAME_SIZE_ERROR],
  ['PRIORITY', [frame(FRAME.priority, 0, 1, Buffer.alloc(5))], 0],
  ['a short PRIORITY', [frame(FRAME.priority, 0, 1, Buffer.alloc(4))], FRAME_SIZE_ERROR],
  ['a long PRIORITY', [frame(FRAME.priority, 0, 1, Buffer.alloc(28))], FRAME_SIZE_ERROR],
  ['RST_STREAM', [frame(FRAME.reset, 0, 1, Buffer.alloc(4))], 0],
  ['an empty RST_STREAM', [frame(FRAME.reset, 0, 1)], FRAME_SIZE_ERROR],
  ['PING', [frame(FRAME.ping, 0, 0, Buffer.alloc(8))], 0],
  ['an empty PING', [frame(FRAME.ping, 0, 0)], FRAME_SIZE_ERROR],
  ['a long PING', [frame(FRAME.ping, ack, 0, Buffer.alloc(9))], FRAME_SIZE_ERROR],
  ['GOAWAY with a text', [frame(FRAME.goaway, 0, 0, Buffer.alloc(20))], 0],
  ['a short GOAWAY', [frame(FRAME.goaway, 0, 0, Buffer.alloc(7))], FRAME_SIZE_ERROR],
  ['WINDOW_UPDATE', [frame(FRAME.window, 0, 0, Buffer.alloc(4))], 0],
  ['a long WINDOW_UPDATE', [frame(FRAME.window, 0, 0, Buffer.alloc(5))], FRAME_SIZE_ERROR],
  ['DATA', [frame(FRAME.data, 0, 1, Buffer.alloc(16_384))], 0],
  ['DATA that is too long', [frame(FRAME.data, 0, 1, Buffer.alloc(16_385))], FRAME_SIZE_ERROR],
  ['empty DATA', [frame(FRAME.data, 0, 1)], 0],
  ['DATA that is all padding', [frame(FRAME.data, padded, 1, Buffer.from([2, 0, 0]))], 0],
  ['DATA with more padding than bytes', [frame(FRAME.data, padded, 1, Buffer.from([3, 0, 0]))], PROTOCOL_ERROR],
  ['padded DATA without a pad length', [frame(FRAME.data, padded, 1)], PROTOCOL_ERROR],
  ['HEADERS', [frame(FRAME.headers, endHeaders, 1, Buffer.alloc(1))], 0],
  ['HEADERS with a priority', [frame(FRAME.headers, endHeaders | priority, 1, Buffer.alloc(5))], 0],
  ['HEADERS with half a priority', [frame(FRAME.headers, endHeaders | priority, 1, Buffer.alloc(4))], FRAME_SIZE_ERROR],
  [
    'HEADERS with a priority and padding',
    [frame(FRAME.headers, endHeaders | priority | padded, 1, Buffer.from([1, 0, 0, 0, 0, 0, 0]))],
    0,
  ],
  [
    'HEADERS whose padding leaves no room for the priority',
    [frame(FRAME.headers, endHeaders | priority | padded, 1, Buffer.from([2, 0, 0, 0, 0, 0, 0]))],
    PROTOCOL_ERROR,
  ],
  ['PUSH_PROMISE', [frame(FRAME.push, endHeaders, 1, Buffer.alloc(4))], 0],
  ['a short PUSH_PROMISE', [frame(FRAME.push, endHeaders, 1, Buffer.alloc(3))], FRAME_SIZE_ERROR],
  [
    'PUSH_PROMISE whose padding leaves no room for the stream',
    [frame(FRAME.push, endHeaders | padded, 1, Buffer.from([1, 0, 0, 0, 0]))],
    PROTOCOL_ERROR,
  ],
  ['CONTINUATION behind HEADERS', [frame(FRAME.headers, 0, 1), frame(FRAME.continuation, endHeaders, 1)], 0],
  ['CONTINUATION behind nothing', [frame(FRAME.continuation, endHeaders, 1)], PROTOCOL_ERROR],
  [
    'CONTINUATION behind the last one',
    [frame(FRAME.headers, 0, 1), frame(FRAME.continuation, endHeaders, 1), frame(FRAME.continuation, endHeaders, 1)],
    PROTOCOL_ERROR,
  ],
  [
    'CONTINUATION of another stream',
    [frame(FRAME.headers, 0, 1), frame(FRAME.continuation, endHeaders, 3)],
    PROTOCOL_ERROR,
  ],
  [
    'a frame between HEADERS and CONTINUATION',
    [frame(FRAME.headers, 0, 1), frame(FRAME.ping, 0, 0, Buffer.alloc(8))],
    PROTOCOL_ERROR,
  ],
  ['ALTSVC', [frame(ALTSVC, 0, 0, Buffer.from([0, 1, 97]))], 0],
  ['ALTSVC whose origin is longer than it', [frame(ALTSVC, 0, 0, Buffer.from([0, 2, 97]))], FRAME_SIZE_ERROR],
  ['a short ALTSVC', [frame(ALTSVC, 0, 0, Buffer.alloc(1))], FRAME_SIZE_ERROR],
  ['ALTSVC of a client, which is to be ignored', [frame(ALTSVC, 0, 0, Buffer.from([255]))], 0, 'client'],
  ['a short PRIORITY_UPDATE', [frame(PRIORITY_UPDATE, 0, 0, Buffer.alloc(3))], FRAME_SIZE_ERROR],
  ['a frame of an unknown type', [frame(200, 255, 1, Buffer.alloc(3))], 0],
];

/** Gives what gets past, in pieces of `size` bytes, and the error. */
function send(bytes: Buffer, sender: FrameSender, size: number): readonly [number, number] {
  const guard = new FrameGuard(sender);
  let passed = 0;
  for (let at = 0; at < bytes.length; at += size) passed += guard.check(bytes.subarray(at, at + size));
  return [passed, guard.error];
}

describe('FrameGuard', () => {
  for (const [name, frames, error, sender = 'target'] of CASES) {
    it(`${error === 0 ? 'passes' : 'stops at'} ${name}`, () => {
      const opening = Buffer.concat(sender === 'client' ? [PREFACE] : [frame(FRAME.settings, 0, 0)]);
      const behind = frame(FRAME.ping, 0, 0, Buffer.alloc(8));
      const bytes = Buffer.concat([opening, ...frames, behind]);
      const last = frames.at(-1)?.length ?? 0;
      const start = bytes.length - behind.length - last;

      for (const size of [1, 2, 7, 9, 10, 64, bytes.length]) {
        const [passed, found] = send(bytes, sender, size);

        assert.equal(found, error);
        if (error === 0) assert.equal(passed, bytes.length);
        // Never a whole head, or no more than the head when its payload tells.
        else assert.ok(passed >= start && passed < start + 9 + 2, `${passed - start} bytes of the frame`);
      }
    });
  }

  it('passes nothing behind what was wrong', () => {
    const guard = new FrameGuard('target');

    guard.check(frame(FRAME.ping, 0, 0));

    assert.equal(guard.check(frame(FRAME.settings, 0, 0)), 0);
    assert.equal(guard.error, FRAME_SIZE_ERROR);
  });

  it('passes no whole head of a frame of a wrong size', () => {
    const [passed] = send(frame(FRAME.ping, 0, 0), 'target', 1);

    assert.equal(passed, 8);
  });

  it('does not look at the preface of a client, and at every frame behind it', () => {
    assert.deepEqual(send(Buffer.concat([PREFACE, frame(FRAME.ping, 0, 0)]), 'client', 5), [
      PREFACE.length + 8,
      FRAME_SIZE_ERROR,
    ]);
  });
});
