// Holds what clients do during a soak: ask, send bodies, leave early, upgrade. Each act says whether it went as it should.
// Must not choose among them, or count.
import { connect } from 'node:net';
import { keyedRequests } from '../../contenders/sallyport-cases.ts';
import { CLIENT_FRAME, defineFrameCounter, repeatFrame, SERVER_FRAME } from '../../load/frames.ts';
import { buildRequestBytes } from '../../load/socket-load.ts';
import { type Line, openLine } from '../line.ts';

const MOST_BODY_BYTES = 65_536;
const BODY = Buffer.alloc(MOST_BODY_BYTES, 'body of the soak ');
const CHUNK_BYTES = 10_000;
const MESSAGES = 4;
/** An act that takes longer has failed. */
const MOST_MS = 20_000;
const MOST_STAY_MS = 30;
const REQUESTS: readonly Buffer[] = keyedRequests.map((request) => buildRequestBytes(request));
const UPGRADE = {
  upgrade: 'websocket',
  connection: 'Upgrade',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
};
const counterOf = defineFrameCounter(SERVER_FRAME);

/** Gives a whole number below `end`. */
export type Random = (end: number) => number;

/** Makes numbers that are the same in every run. @see https://en.wikipedia.org/wiki/Xorshift */
export function createRandom(seed: number): Random {
  let state = seed;
  return (end) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % end;
  };
}

function pickHeaders(random: Random): Readonly<Record<string, string>> {
  return keyedRequests[random(keyedRequests.length)]?.headers ?? {};
}

function buildPost(path: string, fields: Readonly<Record<string, string>>): Buffer {
  const request = buildRequestBytes({ path, headers: {} }, fields).toString('latin1');
  return Buffer.from(request.replace('GET', 'POST'), 'latin1');
}

/** Asks for the small answer. */
export async function ask(line: Line, random: Random): Promise<boolean> {
  return (await line.ask(REQUESTS[random(REQUESTS.length)] ?? Buffer.alloc(0))) === 200;
}

/** Sends a body of a length that is told. */
export async function post(line: Line, random: Random): Promise<boolean> {
  const length = String(1 + random(MOST_BODY_BYTES));
  const head = buildPost('/mixed/count', { ...pickHeaders(random), 'content-length': length, 'x-bytes': length });
  return (await line.ask(head, BODY.subarray(0, Number(length)))) === 200;
}

/** Sends a body in chunks. */
export async function postChunks(line: Line, random: Random): Promise<boolean> {
  const length = 1 + random(MOST_BODY_BYTES);
  const chunked = { 'transfer-encoding': 'chunked', 'x-bytes': String(length) };
  const pieces = [buildPost('/mixed/count', { ...pickHeaders(random), ...chunked })];
  for (let from = 0; from < length; from += CHUNK_BYTES) {
    const chunk = BODY.subarray(from, Math.min(length, from + CHUNK_BYTES));
    pieces.push(Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return (await line.ask(...pieces, Buffer.from('0\r\n\r\n'))) === 200;
}

/** Leaves before the end: of its own body, of a late answer, or of a large one. */
export async function leave(port: number, random: Random): Promise<boolean> {
  const headers = pickHeaders(random);
  const openings = [
    Buffer.concat([buildPost('/mixed/count', { ...headers, 'content-length': '60000' }), BODY.subarray(0, 20_000)]),
    buildRequestBytes({ path: '/mixed/late', headers }),
    buildRequestBytes({ path: '/mixed/large', headers }),
  ];
  const line = await openLine({ port });
  const asked = line.ask(openings[random(openings.length)] ?? Buffer.alloc(0)).catch(() => 0);
  await new Promise((resolve) => setTimeout(resolve, random(MOST_STAY_MS)));
  line.close();
  await asked;
  return true;
}

/** Upgrades, exchanges some messages, and leaves. */
export function converse(port: number, random: Random): Promise<boolean> {
  const request = buildRequestBytes({ path: '/mixed/echo', headers: pickHeaders(random) }, UPGRADE);
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const counter = counterOf();
    let [head, left] = ['', MESSAGES];
    const read = (chunk: Buffer): void => {
      left -= counter.count(chunk);
      if (left === 0) socket.end();
    };
    socket.setTimeout(MOST_MS, () => socket.destroy());
    socket.on('connect', () => socket.write(request));
    socket.on('data', (chunk) => {
      try {
        if (head.endsWith('\r\n\r\n')) return read(chunk);
        head += chunk.toString('latin1');
        if (head.endsWith('\r\n\r\n') && head.startsWith('HTTP/1.1 101')) {
          socket.write(repeatFrame(CLIENT_FRAME, MESSAGES));
        }
      } catch {
        socket.destroy();
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(left === 0));
  });
}
