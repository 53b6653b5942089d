// HTTP/2 frames from clients and from targets: well formed, broken, out of place, cut anywhere.
// Must not say what has to be refused: only what must never come of it.
import { makeApi, makeRoute, putAll } from '../support/entities.ts';
import {
  FLAG,
  FRAME,
  type FrameClient,
  frame,
  headersFrame,
  type Lines,
  openFrames,
  packNumber,
  requestLines,
} from '../support/wire/h2-frames.ts';
import { startFrameOrigin } from '../support/wire/h2-origin.ts';
import { type Group, openBench } from './group.ts';
import type { Random } from './random.ts';
import { judgeOrigin, openEcho } from './requests.ts';

/** Longest that any case may take: what takes longer hangs. */
const CASE_MS = 8_000;

function bytes(random: Random, most: number): Buffer {
  return Buffer.from(Array.from({ length: random.below(most) }, () => random.below(256)));
}

function text(random: Random): string {
  return random.chance(0.7)
    ? random.pick(['a', 'x-a', 'te', 'cookie', '1', 'trailers'])
    : bytes(random, 8).toString('latin1');
}

/** Makes header lines: of a request or a response most of the time, with something odd among them now and then. */
function makeLines(random: Random, base: Lines): Lines {
  const lines = [...base];
  while (random.chance(0.5)) {
    const line = random.pick<readonly [string, string]>([
      [text(random), text(random)],
      ['host', random.pick(['h', 'x'])],
      ['content-length', random.pick(['0', '5', '05', '-1', '99999999999999999999'])],
      ['transfer-encoding', 'chunked'],
      ['x-consumer-id', 'evil'],
      ['content-type', 'application/grpc'],
      ['grpc-timeout', random.pick(['100m', '0n', 'x', '1H'])],
      ['expect', '100-continue'],
      [':path', '/again'],
    ]);
    lines.splice(random.below(lines.length + 1), 0, line);
  }
  return random.chance(0.1) ? lines.slice(random.below(lines.length)) : lines;
}

/** Makes a frame of any kind on about the right stream. */
function makeFrame(random: Random, stream: number): Buffer {
  const about = random.pick([stream, stream, stream + 2, 0, 1, 2]);
  return random.pick([
    () => frame(FRAME.data, random.pick([0, FLAG.endStream, FLAG.padded]), about, bytes(random, 40)),
    () => frame(FRAME.reset, 0, about, packNumber(random.below(14))),
    () => frame(FRAME.window, 0, about, packNumber(random.pick([0, 1, 65_535, 2 ** 31 - 1]))),
    () => frame(FRAME.settings, random.pick([0, FLAG.ack]), 0, bytes(random, 14)),
    () => frame(FRAME.goaway, 0, 0, Buffer.concat([packNumber(about), packNumber(random.below(14))])),
    () => headersFrame(about, makeLines(random, [[text(random), text(random)]]), random.below(64)),
    () => frame(random.below(12), random.below(256), about, bytes(random, 30)),
    () => bytes(random, 30),
  ])();
}

function makeRequests(random: Random): Buffer {
  const frames: Buffer[] = [];
  for (let stream = 1; random.chance(0.85) && stream < 20; stream += 2) {
    const pseudo = {
      ':method': random.pick(['GET', 'POST', 'HEAD', 'DELETE', 'CONNECT']),
      ':path': `/${random.below(9)}`,
    };
    frames.push(headersFrame(stream, makeLines(random, requestLines(pseudo)), random.pick([4, 5, 5, 0])));
    while (random.chance(0.4)) frames.push(makeFrame(random, stream));
  }
  const all = Buffer.concat(frames);
  const at = random.below(all.length + 1);
  if (random.chance(0.2) && at < all.length) all[at] = (all[at] ?? 0) ^ (1 << random.below(8));
  return all;
}

/** Asks on a connection of its own; gives what is wrong with the answer. */
async function probe(port: number, path: string, good: RegExp): Promise<string | undefined> {
  const client = await openFrames(port);
  client.send(headersFrame(1, requestLines({ ':path': path })));
  const outcome = await settle(client, client.outcome(1));
  client.close();
  return outcome !== undefined && good.test(outcome)
    ? undefined
    : `a clean request to ${path} gets ${outcome ?? 'nothing'}`;
}

async function settle<Result>(client: FrameClient, waiting: Promise<Result>): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, CASE_MS, undefined);
  });
  const result = await Promise.race([waiting, late]);
  clearTimeout(timer);
  if (result === undefined) client.close();
  return result;
}

/** What clients send: nothing bad reaches an upstream of HTTP/1.1, and others are served on. */
export const clientFrames: Group = {
  name: 'client-frames',
  async open() {
    const bench = await openEcho();
    return {
      async run(random) {
        const sent = makeRequests(random);
        const client = await openFrames(bench.gateway.port, random.chance(0.8));
        const at = random.chance(0.5) ? random.below(sent.length + 1) : sent.length;
        client.send(sent.subarray(0, at));
        await new Promise((resolve) => setImmediate(resolve));
        if (random.chance(0.7)) client.send(sent.subarray(at));
        const wrong = await probe(bench.gateway.port, '/probe', /^status 200$/);
        if (random.chance(0.5)) client.socket.resetAndDestroy();
        else client.close();
        // From the start of each connection: a request of the case before may still be on its way.
        const bad = wrong ?? judgeOrigin(bench, []);
        return bad === undefined ? undefined : `${bad}\nbytes: ${sent.toString('hex')}`;
      },
      close: () => bench.close(),
    };
  },
};

/** What targets answer: every request gets an answer or a reset, and other targets are not touched. */
export const targetFrames: Group = {
  name: 'target-frames',
  async open() {
    let random: Random | undefined;
    let said: Buffer[] = [];
    const target = await startFrameOrigin(({ type, flags, stream }, socket) => {
      if (!random || !socket.writable) return;
      const answer: Buffer[] = [];
      if (type === FRAME.settings && (flags & FLAG.ack) === 0) {
        answer.push(frame(FRAME.settings, 0, 0), frame(FRAME.settings, FLAG.ack, 0));
      }
      if (type === FRAME.headers) {
        const status = random.pick(['200', '200', '204', '304', '103', '101', '99', '600', 'x']);
        answer.push(headersFrame(stream, makeLines(random, [[':status', status]]), random.pick([4, 5])));
      }
      while (random.chance(0.3)) answer.push(makeFrame(random, stream));
      said.push(...answer);
      socket.write(Buffer.concat(answer));
      const way = random.below(20);
      if (way === 0) socket.destroy();
      else if (way === 1) socket.end();
    });
    const bench = await openBench((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));
    const timeouts = { connectMs: 500, responseMs: 300, idleMs: 300, totalMs: 1_000 };
    const routes = [makeRoute({ paths: ['/h2c'] })];
    await bench.gateway.apply(putAll({ apis: [makeApi({ name: 'h2c', upstream: target.url, timeouts, routes })] }));
    return {
      async run(drawn) {
        random = drawn;
        said = [];
        const wrong =
          (await probe(bench.gateway.port, '/h2c', /^(?:status|reset)/)) ??
          (await probe(bench.gateway.port, '/probe', /^status 200$/));
        return wrong === undefined ? undefined : `${wrong}\nthe target said: ${Buffer.concat(said).toString('hex')}`;
      },
      async close() {
        await bench.close();
        await target.close();
      },
    };
  },
};
