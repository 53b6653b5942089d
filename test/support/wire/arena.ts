// Attacks on a gateway by raw bytes: an origin that records and re-reads every byte, and probes that must get their own answers.
// Must not know what an attack is about.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import type { Api } from '../../../gateway/core/model.ts';
import { openRaw, type TestGateway, type TestGatewayOptions } from '../engine.ts';
import { createStage } from '../proxied-api.ts';
import { startTcpOrigin, type TcpOrigin } from './origin.ts';
import { readStrictly, type StrictRequest } from './strict-reader.ts';

/** Is what came of an attack. */
export interface Outcome {
  /** Statuses of the final answers, the probe's on the same connection included when it got one. */
  readonly statuses: readonly number[];
  /** Everything that the client got. */
  readonly text: string;
  /** The gateway closed the connection; else a probe was answered on it. */
  readonly isClosed: boolean;
  /** What the origin got before the probes. */
  readonly bytes: string;
  readonly requests: readonly StrictRequest[];
}

/** Is a gateway before a recording origin. */
export interface Arena {
  readonly gateway: TestGateway;
  readonly origin: TcpOrigin;
  /** Every request that the origin got since the last attack began. */
  requests(): readonly StrictRequest[];
  /** Sends bytes, then a probe on the same connection unless that closes, then one on another; checks both probes. */
  attack(...pieces: readonly string[]): Promise<Outcome>;
  close(): Promise<void>;
}

/** Answers one request as the origin; `text` is a whole response. Gives undefined for the usual answer. */
export type Answer = (request: StrictRequest, socket: Socket) => string | undefined;

/** Opens an arena whose origin answers every whole request with its method and target. */
export async function openArena(
  options: TestGatewayOptions & { readonly api?: Partial<Api>; readonly answer?: Answer } = {},
): Promise<Arena> {
  const stage = createStage();
  let connections = new Map<Socket, { text: string; answered: number }>();
  const origin = await stage.open(
    startTcpOrigin((socket, _text, chunk) => {
      const state = connections.get(socket) ?? { text: '', answered: 0 };
      connections.set(socket, state);
      state.text += chunk;
      const { requests } = readStrictly(state.text);
      for (; state.answered < requests.length; state.answered++) {
        const request = requests[state.answered];
        if (request) socket.write(options.answer?.(request, socket) ?? usualAnswer(request), 'latin1');
      }
    }),
  );
  const { answer: _, api, ...more } = options;
  const gateway = await stage.publish(origin.url, { ...more, api: { retries: { attempts: 0 }, ...api } });
  const read = (): readonly StrictRequest[] =>
    [...connections.values()].flatMap(({ text }) => {
      const { requests, fault } = readStrictly(text);
      assert.equal(fault, undefined, `the origin got ${JSON.stringify(text)}`);
      return requests;
    });
  let probes = 0;

  return {
    gateway,
    origin,
    requests: read,
    async attack(...pieces) {
      // What earlier attacks left behind is theirs; connections are re-read from their next request on.
      connections = new Map([...connections].map(([socket]) => [socket, { text: '', answered: 0 }]));
      const raw = await openRaw(gateway.port);
      for (const piece of pieces) raw.write(piece);
      const target = `/probe-${++probes}`;
      await Promise.race([raw.waitFor(FINAL).catch(() => ''), raw.closed()]);
      const bytes = [...connections.values()].map(({ text }) => text).join('');
      const requests = read();
      if (!/\r\nconnection: close\r\n/i.test(raw.text())) raw.write(`GET ${target} HTTP/1.1\r\nHost: h\r\n\r\n`);
      const isAnswered = await raw.waitFor(new RegExp(`GET ${target}$`)).then(
        () => true,
        () => false,
      );
      const text = raw.text();
      raw.socket.destroy();
      await probeAnew(gateway.port, `/probe-${++probes}`);
      read();
      const statuses = [...text.matchAll(/HTTP\/1\.1 ([2-9]\d\d) /g)].map(([, status]) => Number(status));
      return { statuses, text, isClosed: !isAnswered, bytes, requests };
    },
    close: () => stage.close(),
  };
}

const FINAL = /HTTP\/1\.1 [2-9]\d\d [\s\S]*?\r\n\r\n/;

function usualAnswer({ method, target }: StrictRequest): string {
  const body = `${method} ${target}`;
  const isBodiless = method === 'HEAD';
  return `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${isBodiless ? '' : body}`;
}

/** Asks on a new connection: whoever comes after an attack gets the answer to its own request. */
async function probeAnew(port: number, target: string): Promise<void> {
  const raw = await openRaw(port);
  raw.write(`GET ${target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
  const { text } = await raw.closed();
  assert.match(text, new RegExp(`^HTTP/1\\.1 200 [\\s\\S]*\r\n\r\nGET ${target}$`));
}

/**
 * Asserts that an attack was refused: on the wire with the connection closed and not a byte at the origin; in its body, which
 * streams, with the connection closed and no whole request at the origin; by the core without a byte at the origin.
 */
export function assertRefused(outcome: Outcome, status = 0, where: 'wire' | 'body' | 'core' = 'wire'): void {
  const { statuses, text, isClosed, bytes, requests } = outcome;
  const [got = 0] = statuses;
  if (where !== 'body') assert.equal(bytes, '');
  assert.deepEqual(requests, []);
  assert.ok(status === 0 ? REFUSALS.has(got) : got === status, text);
  assert.match(text, /application\/problem\+json/);
  assert.deepEqual([isClosed, statuses.length], where === 'core' ? [false, 2] : [true, 1], text);
}

const REFUSALS = new Set([400, 405, 414, 417, 431, 501, 505]);

/** Asserts that an attack arrived as one request, well framed, and that the connection is in step behind it. */
export function assertOne({ statuses, requests, isClosed, text }: Outcome): StrictRequest {
  assert.equal(requests.length, 1, JSON.stringify(requests));
  assert.ok(!isClosed, `closed after ${text}`);
  assert.deepEqual(statuses, [200, 200]);
  const [request] = requests;
  assert.ok(request);
  return request;
}
