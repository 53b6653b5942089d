// Tests what the endurance cases are made of: options, verdicts, slopes, pace, bodies, lines.
// Must not start a Sallyport.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { buildRequestBytes } from '../load/socket-load.ts';
import { readHardLimit } from '../processes.ts';
import { countBlocks, countBytes, sendBlocks, sipBlocks } from './bodies.ts';
import { formatVerdict, judgeMost } from './case.ts';
import { openLine } from './line.ts';
import { readOptions } from './options.ts';
import { startPace } from './pace.ts';
import { ask, createRandom, post, postChunks } from './soak/acts.ts';
import { findSlope } from './statistics.ts';

const FAST_MIB_PER_SECOND = 10_000;

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('endurance options', () => {
  it('asks for a case', () => {
    assert.throws(() => readOptions([]), /--case is missing/);
    assert.equal(readOptions(['--help']).isHelp, true);
  });

  it('runs a soak of twenty minutes and bodies of 200 MiB by default', () => {
    const options = readOptions(['--case', 'soak']);

    assert.deepEqual(
      [options.caseName, options.minutes, options.bodyMib, options.connections],
      ['soak', 20, 200, undefined],
    );
  });

  it('names the option that does not parse', () => {
    assert.throws(() => readOptions(['--case', 'soak', '--minutes', '1.5']), /--minutes must be a whole number from 1/);
  });
});

describe('judgeMost', () => {
  it('holds up to the bound, and says so in a line', () => {
    assert.equal(formatVerdict(judgeMost('RSS growth', 64, 64, ' MiB')), 'PASS  RSS growth: 64 MiB (at most 64 MiB)');
    assert.equal(formatVerdict(judgeMost('ratio', 1.501, 1.5, 'x')), 'FAIL  ratio: 1.50x (at most 1.50x)');
  });

  it('does not hold when nothing could be measured', () => {
    assert.equal(judgeMost('ratio', Number.NaN, 1.5).holds, false);
  });
});

describe('findSlope', () => {
  it('gives the slope of a line, and is not moved by one value far off', () => {
    assert.equal(findSlope([10, 12, 14, 16]), 2);
    assert.equal(findSlope([10, 12, 60, 16, 18, 20]), 2);
  });

  it('is flat for fewer than two values', () => {
    assert.deepEqual([findSlope([]), findSlope([7])], [0, 0]);
  });
});

describe('readHardLimit', () => {
  it('finds the hard limit of open files', () => {
    const text =
      'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 20000                files\n';

    assert.equal(readHardLimit(text), 20_000);
    assert.equal(readHardLimit(text.replace('20000', 'unlimited')), Number.POSITIVE_INFINITY);
  });
});

describe('startPace', () => {
  it('calls at its rate, and says when each call was due', async () => {
    const dues: number[] = [];
    await new Promise<void>((resolve) => {
      const stop = startPace(100, (dueMs) => {
        if (dues.push(dueMs) < 10) return;
        stop();
        resolve();
      });
    });

    const gaps = dues.slice(1, 10).map((dueMs, index) => Math.round((dueMs - (dues[index] ?? 0)) * 10) / 10);
    assert.deepEqual([...new Set(gaps)], [10]);
  });
});

describe('bodies', () => {
  it('arrive whole, block by block', async () => {
    const pipe = new PassThrough();
    const came = sipBlocks(pipe, FAST_MIB_PER_SECOND);
    sendBlocks(pipe, countBlocks(1));

    assert.equal(countBytes(await came), 1_048_576);
  });

  it('are refused when a byte is another', async () => {
    const pipe = new PassThrough();
    const came = sipBlocks(pipe, FAST_MIB_PER_SECOND);
    pipe.write(Buffer.alloc(64));

    await assert.rejects(came, /other bytes/);
  });

  it('are refused when they break off', async () => {
    const pipe = new PassThrough();
    const came = sipBlocks(pipe, FAST_MIB_PER_SECOND);
    pipe.destroy();

    await assert.rejects(came, /broke off/);
  });
});

describe('acts of a soak', () => {
  it('choose alike in every run', () => {
    const [one, other] = [createRandom(7), createRandom(7)];

    const numbers = Array.from({ length: 20 }, () => one(100));

    assert.deepEqual(
      numbers,
      Array.from({ length: 20 }, () => other(100)),
    );
    assert.ok(numbers.every((number) => number >= 0 && number < 100));
    assert.ok(new Set(numbers).size > 10);
  });

  it('send bodies as they say they do', async () => {
    const seen: string[] = [];
    const server = createServer(async (request, response) => {
      const bytes = (await request.toArray()).reduce((sum, chunk: Buffer) => sum + chunk.length, 0);
      const isAsTold = request.method === 'GET' || String(bytes) === request.headers['x-bytes'];
      seen.push(`${request.method} ${request.headers['transfer-encoding'] ?? 'length'} ${isAsTold}`);
      response.writeHead(200, { 'content-length': 0 }).end();
    });
    const line = await openLine({ port: await listen(server) });
    const random = createRandom(7);

    const outcomes = [await ask(line, random), await post(line, random), await postChunks(line, random)];
    line.close();
    server.close();

    assert.deepEqual(outcomes, [true, true, true]);
    assert.deepEqual(seen, ['GET length true', 'POST length true', 'POST chunked true']);
  });
});

describe('openLine', () => {
  it('rejects a question that finds the connection closed, or that it is closed on', async () => {
    const server = createServer((request) => request.socket.destroy());
    const line = await openLine({ port: await listen(server) });
    const request = buildRequestBytes({ path: '/', headers: {} });

    await assert.rejects(line.ask(request), /closed before the answer/);
    assert.equal(line.isOpen, false);
    await assert.rejects(line.ask(request), /closed before the request/);
    server.close();
  });

  it('takes no question after an answer that says the connection closes', async () => {
    const server = createServer((_request, response) =>
      response.writeHead(200, { connection: 'close', 'content-length': 0 }).end(),
    );
    const line = await openLine({ port: await listen(server) });

    const status = await line.ask(buildRequestBytes({ path: '/', headers: {} }));

    assert.deepEqual([status, line.isOpen], [200, false]);
    line.close();
    server.close();
  });
});
