// Speaks HTTP/2 frame by frame, so that tests can send what no client library would.
// Must not check anything: what the other side makes of it is under test.
import { connect, type Socket } from 'node:net';

/** Names the frame types. RFC 9113 section 6. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

/** Names the flags. */
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** Is a frame that came. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Is header lines as pairs, in the order in which they are sent. */
export type Lines = readonly (readonly [string, string])[];

/** Writes one frame. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Writes lines in HPACK as they are: new names, no Huffman, no table. RFC 7541 section 6.2.2. */
export function packLines(lines: Lines): Buffer {
  return Buffer.concat(lines.flatMap(([name, value]) => [Buffer.from([0]), packText(name), packText(value)]));
}

function packText(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  const length: number[] = [];
  let rest = bytes.length;
  if (rest < 127) length.push(rest);
  else {
    length.push(127);
    for (rest -= 127; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** Writes a four-byte number, as in RST_STREAM and WINDOW_UPDATE. */
export function packNumber(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Gives the pseudo-headers of a request, with others in their place where `changes` names them. */
export function requestLines(changes: Readonly<Record<string, string>> = {}, more: Lines = []): Lines {
  const pseudo = { ':method': 'GET', ':scheme': 'http', ':path': '/', ':authority': 'h', ...changes };
  return [...Object.entries(pseudo), ...more];
}

/** Writes the frame that begins a request. */
export function headersFrame(stream: number, lines: Lines, flags: number = FLAG.endStream | FLAG.endHeaders): Buffer {
  return frame(FRAME.headers, flags, stream, packLines(lines));
}

/** Is a connection of which every frame is the test's. */
export interface FrameClient {
  readonly socket: Socket;
  readonly frames: readonly Frame[];
  readonly isClosed: boolean;
  send(...frames: readonly Buffer[]): void;
  /** Resolves with the first frame, past or future, that fits; with undefined when the connection closes before. */
  waitFor(fits: (frame: Frame) => boolean): Promise<Frame | undefined>;
  /** Resolves with how a stream was answered: `status 200`, `reset 1`; or `goaway 11`, or `closed`. */
  outcome(stream: number): Promise<string>;
  closed(): Promise<void>;
  close(): void;
}

/** Connects, sends the preface and settings; `acknowledges` those of the other side too. */
export async function openFrames(port: number, acknowledges: boolean = true): Promise<FrameClient> {
  const socket = connect(port, '127.0.0.1');
  const frames: Frame[] = [];
  const reader = new FrameReader();
  let isClosed = false;
  socket.on('data', (bytes) => {
    frames.push(...reader.read(bytes));
    socket.emit('progress');
  });
  socket.setMaxListeners(0);
  socket.on('error', () => undefined);
  socket.on('close', () => {
    isClosed = true;
    socket.emit('progress');
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
  // No table, so that no status is told by a place in it.
  socket.write(frame(FRAME.settings, 0, 0, Buffer.from([0, 1, 0, 0, 0, 0])));
  if (acknowledges) socket.write(frame(FRAME.settings, FLAG.ack, 0));

  const until = <Result>(find: () => Result | undefined): Promise<Result | undefined> =>
    new Promise((resolve) => {
      const look = (): void => {
        const found = find();
        if (found === undefined && !isClosed) return;
        socket.off('progress', look);
        resolve(found);
      };
      socket.on('progress', look);
      look();
    });
  return {
    socket,
    frames,
    get isClosed() {
      return isClosed;
    },
    send: (...more) => void socket.write(Buffer.concat(more)),
    waitFor: (fits) => until(() => frames.find(fits)),
    async outcome(stream) {
      const found = await until(() => frames.find((one) => tells(one, stream)));
      return found ? describe(found) : 'closed';
    },
    closed: async () => void (await until(() => (isClosed ? true : undefined))),
    close: () => void socket.destroy(),
  };
}

/** Cuts bytes into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  read(bytes: Buffer): readonly Frame[] {
    const frames: Frame[] = [];
    this.#rest = Buffer.concat([this.#rest, bytes]);
    for (let next = readFrame(this.#rest); next; next = readFrame(this.#rest)) {
      this.#rest = this.#rest.subarray(9 + next.payload.length);
      frames.push(next);
    }
    return frames;
  }
}

function readFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 9) return undefined;
  const length = bytes.readUIntBE(0, 3);
  if (bytes.length < 9 + length) return undefined;
  const payload = Buffer.from(bytes.subarray(9, 9 + length));
  return { type: bytes[3] ?? 0, flags: bytes[4] ?? 0, stream: bytes.readUInt32BE(5) & 0x7fffffff, payload };
}

function tells({ type, stream }: Frame, asked: number): boolean {
  if (type === FRAME.goaway) return true;
  return stream === asked && (type === FRAME.headers || type === FRAME.reset);
}

function describe({ type, payload }: Frame): string {
  if (type === FRAME.goaway) return `goaway ${payload.readUInt32BE(4)}`;
  if (type === FRAME.reset) return `reset ${payload.readUInt32BE(0)}`;
  return `status ${readStatus(payload)}`;
}

// The static table knows seven statuses; others come as a literal with the name by index, in Huffman or not.
const INDEXED = ['200', '204', '206', '304', '400', '404', '500'];
const HUFFMAN_DIGITS: readonly (readonly [string, string])[] = [
  ['00000', '0'],
  ['00001', '1'],
  ['00010', '2'],
  ['011001', '3'],
  ['011010', '4'],
  ['011011', '5'],
  ['011100', '6'],
  ['011101', '7'],
  ['011110', '8'],
  ['011111', '9'],
];

function readStatus(sent: Buffer): string {
  // The size of the table may be told first. RFC 7541 section 6.3.
  const block = ((sent[0] ?? 0) & 0xe0) === 0x20 ? sent.subarray(1) : sent;
  const first = block[0] ?? 0;
  if (first >= 0x88 && first <= 0x8e) return INDEXED[first - 0x88] ?? '';
  const length = (block[1] ?? 0) & 0x7f;
  const text = block.subarray(2, 2 + length);
  if (((block[1] ?? 0) & 0x80) === 0) return text.toString('latin1');
  let bits = [...text].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let digits = '';
  while (digits.length < 3) {
    const known = HUFFMAN_DIGITS.find(([code]) => bits.startsWith(code));
    if (!known) return '?';
    digits += known[1];
    bits = bits.slice(known[0].length);
  }
  return digits;
}
