// What a group of cases is, and the gateway that most of them are thrown at.
// Must not hold cases.
import { connect, type Socket } from 'node:net';
import { startGateway, type TestGateway } from '../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../support/entities.ts';
import { startTcpOrigin, type TcpOrigin } from '../support/wire/origin.ts';
import type { Random } from './random.ts';

/** Longest that any case may take: what takes longer hangs. */
const CASE_MS = 8_000;
/** Time-outs of the gateway under test: short, since many cases end by one. */
const SHORT_MS = 400;

/** Is a group of cases of one kind. */
export interface Group {
  readonly name: string;
  /** Says why it cannot run here. */
  findObstacle?(): string | undefined;
  open(): Promise<OpenGroup>;
}

/** Is a group that is ready. */
export interface OpenGroup {
  /** Runs one case; gives what is wrong, with the bytes that show it. */
  run(random: Random): Promise<string | undefined>;
  close(): Promise<void>;
}

/** Is a gateway before an origin that speaks TCP. */
export interface Bench {
  readonly gateway: TestGateway;
  readonly origin: TcpOrigin;
  close(): Promise<void>;
}

/** Starts a gateway whose one api takes every path. */
export async function openBench(onData: (socket: Socket, text: string) => void): Promise<Bench> {
  const origin = await startTcpOrigin(onData);
  const gateway = await startGateway({ headerTimeoutMs: SHORT_MS, bodyIdleMs: SHORT_MS, keepAliveMs: SHORT_MS });
  const api = makeApi({
    name: 'api',
    upstream: origin.url,
    timeouts: { connectMs: 2_000, responseMs: 2_000, idleMs: 2_000 },
    retries: { attempts: 0 },
    routes: [makeRoute({ paths: ['/'] })],
  });
  await gateway.apply(putAll({ apis: [api] }));
  return {
    gateway,
    origin,
    async close() {
      await gateway.close();
      await origin.close();
    },
  };
}

/** Is what a connection brought until it closed. */
export interface Conversation {
  readonly text: string;
  readonly hadReset: boolean;
  /** It had to be ended by us. */
  readonly hangs: boolean;
}

/**
 * Sends pieces, each in a packet of its own where the system allows, and waits until the peer closes, or until what came
 * ends with `last`.
 */
export function converse(port: number, pieces: readonly string[], last?: string): Promise<Conversation> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let text = '';
    let hadReset = false;
    const timer = setTimeout(() => finish(true), CASE_MS);
    const finish = (hangs: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, hadReset, hangs });
    };
    const send = (at: number): void => {
      const piece = pieces[at];
      if (piece === undefined || !socket.writable) return;
      socket.write(piece, 'latin1', () => setImmediate(send, at + 1));
    };
    socket.on('connect', () => send(0));
    socket.on('data', (bytes) => {
      text += bytes.toString('latin1');
      if (last !== undefined && text.endsWith(last)) finish(false);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      hadReset ||= error.code === 'ECONNRESET';
    });
    socket.on('close', () => finish(false));
  });
}

/** Gives the statuses of all final responses in a text; every refusal is one: which breach is seen first may differ. */
export function statusesOf(text: string): string {
  const statuses = [...text.matchAll(/HTTP\/1\.1 ([2-9]\d\d) /g)].map(([, status = '']) => status);
  return statuses.map((status) => (/^[45]/.test(status) ? 'refused' : status)).join(' ');
}

/** Asks on a connection of its own; gives what is wrong with the answer. */
export async function probe(port: number): Promise<string | undefined> {
  const { text, hangs } = await converse(port, ['GET /probe HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n']);
  if (hangs) return 'a clean request hangs';
  return /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok \/probe$/.test(text)
    ? undefined
    : `a clean request gets ${JSON.stringify(text)}`;
}
