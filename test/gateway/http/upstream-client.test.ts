// The upstream client: what it takes for a response, however the bytes are cut, and what it does with connections.
import assert from 'node:assert/strict';
import type { BodySource, TargetAddress, UpstreamFailure, UpstreamRequest } from '../../../gateway/core/ports.ts';
import { toByteText } from '../../../gateway/http/message/byte-text.ts';
import { createUpstreamClient } from '../../../gateway/http/upstream/client.ts';
import { readResponseHead } from '../../../gateway/http/upstream/head-parser.ts';
import { ResponseReader } from '../../../gateway/http/upstream/response-reader.ts';
import { startTcpOrigin, type TcpOrigin } from '../../support/wire/origin.ts';

/** Is what came of one response. */
interface Read {
  readonly status: number;
  readonly body: string;
  readonly rest: string | undefined;
}

/** Reads bytes in pieces of the given size. */
function readInPieces(text: string, size: number, method = 'GET'): Read | undefined {
  let status = 0;
  let body = '';
  let rest: string | undefined;
  let hasEnded = false;
  const reader = new ResponseReader(method, false, {
    onInformational: () => undefined,
    onHead: (head) => {
      status = head.status;
    },
    onBody: (bytes) => {
      body += bytes.toString('latin1');
    },
    onEnd: () => {
      hasEnded = true;
    },
  });
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length && !hasEnded; at += size)
    rest = reader.read(bytes.subarray(at, at + size))?.toString('latin1');
  return hasEnded || reader.endByClose() ? { status, body, rest } : undefined;
}

const WHOLE: readonly (readonly [string, string, string])[] = [
  ['a length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', 'hello'],
  ['no reason phrase', 'HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok', 'ok'],
  ['length zero', 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n', ''],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
  ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n', ''],
  ['chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\n\r\n', 'hello!'],
  [
    'chunks with trailers',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\nA\r\n0123456789\r\n000\r\nX: y\r\nZ: \r\n\r\n',
    '0123456789',
  ],
  [
    'early responses before',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!',
    '!',
  ],
  ['an end by closing', 'HTTP/1.1 200 OK\r\nX-Odd: \u00e9\t\r\n\r\nall of it', 'all of it'],
];

const INVALID: readonly (readonly [string, string])[] = [
  ['another version', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['a blank before the colon', 'HTTP/1.1 200 OK\r\nA : b\r\n\r\n'],
  ['an empty name', 'HTTP/1.1 200 OK\r\n: b\r\n\r\n'],
  ['a folded line', 'HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n'],
  ['a line without a colon', 'HTTP/1.1 200 OK\r\nnonsense\r\n\r\n'],
  ['a bare LF', 'HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n'],
  ['a bare CR', 'HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n'],
  ['a NUL', 'HTTP/1.1 200 OK\r\nA: \u0000\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx'],
  ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx'],
  ['length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['another transfer coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['an upgrade nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ['a chunk size with a sign', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n'],
  ['a chunk size with a prefix', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\n'],
  ['a chunk size out of range', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffff\r\n'],
  ['a chunk that is longer than it says', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n'],
  ['a bare LF behind a chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n'],
  ['500 and more header lines', `HTTP/1.1 200 OK\r\n${'A: b\r\n'.repeat(501)}\r\n`],
  ['a head without an end', `HTTP/1.1 200 OK\r\nA: ${'b'.repeat(70_000)}`],
];

describe('upstream client', () => {
  describe('reading', () => {
    for (const [what, text, body] of WHOLE) {
      it(`takes a response with ${what}, cut at every byte or not at all`, () => {
        for (const size of [1, 2, 3, 7, text.length])
          assert.equal(readInPieces(text, size)?.body, body, `pieces of ${size}`);
      });
    }

    for (const [what, text] of INVALID) {
      it(`refuses ${what}, cut at every byte or not at all`, () => {
        for (const size of [1, 5, text.length])
          assert.throws(() => readInPieces(text, size), { name: 'MalformedMessage' });
      });
    }

    it('reads no body behind the head that answers HEAD', () => {
      const read = readInPieces('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nextra', 100, 'HEAD');

      assert.deepEqual(read, { status: 200, body: '', rest: 'extra' });
    });

    it('keeps a connection only when both sides can', () => {
      const isKept = (head: string): boolean => readResponseHead(toByteText(head), 'GET').isKeptAlive;

      assert.equal(isKept('HTTP/1.1 200 OK\r\nContent-Length: 0'), true);
      assert.equal(isKept('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, Close'), false);
      assert.equal(isKept('HTTP/1.0 200 OK\r\nContent-Length: 0'), false);
      assert.equal(isKept('HTTP/1.1 200 OK'), false);
      assert.equal(
        readResponseHead(toByteText('HTTP/1.1 200 OK\r\nKeep-Alive: max=5, timeout=7'), 'GET').keepAliveSeconds,
        7,
      );
    });
  });

  describe('connections', () => {
    const client = createUpstreamClient();
    let origin: TcpOrigin | undefined;

    after(async () => {
      await client.close();
    });

    afterEach(async () => {
      await origin?.close();
    });

    function ask(fields: Partial<UpstreamRequest> = {}, address: Partial<TargetAddress> = {}): Promise<string> {
      return new Promise((resolve, reject) => {
        let text = '';
        const target = {
          protocol: 'http' as const,
          host: '127.0.0.1',
          port: origin?.port ?? 0,
          connectMs: 1_000,
          tls: undefined,
          ...address,
        };
        const request = {
          method: 'GET',
          target: '/',
          headers: ['Host', 'h'],
          body: undefined,
          responseMs: 500,
          idleMs: 500,
          ...fields,
        };
        client.send(target, request, {
          onInformational: () => undefined,
          onUpgrade: () => undefined,
          onHead: (status) => {
            text += status;
          },
          onChunk: (chunk) => {
            text += ` ${Buffer.from(chunk).toString()}`;
            return true;
          },
          onEnd: () => resolve(text),
          onError: (failure: UpstreamFailure, _, wasReused) =>
            reject(new Error(`${failure}${wasReused ? ' on reuse' : ''}`)),
        });
      });
    }

    it('uses one connection again and again, and a fresh one when asked', async () => {
      origin = await startTcpOrigin((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx'));

      for (let count = 0; count < 5; count++) assert.equal(await ask(), '200 x');
      assert.equal(origin.connections.length, 1);
      await ask({ isRetry: true });

      assert.equal(origin.connections.length, 2);
    });

    it('never takes bytes that came unasked for the answer to the next request', async () => {
      origin = await startTcpOrigin((socket, text) => {
        const count = text.split('\r\n\r\n').length - 1;
        socket.write(
          `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${count}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged`,
        );
      });

      const answers = [await ask(), await ask(), await ask()];

      assert.deepEqual(answers, ['200 1', '200 1', '200 1']);
      assert.equal(origin.connections.length, 3);
    });

    it('says how far a try came', async () => {
      const failures: Readonly<Record<string, string>> = {
        '/reset': 'reset-before-response',
        '/half': 'broken-response',
        '/short': 'broken-response',
        '/nonsense': 'invalid-response',
        '/coded-1.0': 'invalid-response',
        '/silent': 'response-timeout',
        '/stalls': 'idle-timeout',
      };
      origin = await startTcpOrigin((socket, text) => {
        if (text.includes('/reset')) socket.resetAndDestroy();
        if (text.includes('/half')) socket.end('HTTP/1.1 200 OK\r\nCon');
        if (text.includes('/short')) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx');
        if (text.includes('/nonsense')) socket.write('nonsense\r\n\r\n');
        if (text.includes('/coded-1.0')) socket.write('HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
        if (text.includes('/stalls')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx');
      });

      for (const [target, failure] of Object.entries(failures))
        await assert.rejects(ask({ target }), { message: failure });
      const { port } = origin;
      await origin.close();
      await assert.rejects(ask({}, { port }), { message: 'connect-failed' });
    });

    it('writes a length for content that is expected or there, and none else', async () => {
      origin = await startTcpOrigin((socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'));

      await ask();
      await ask({ method: 'POST' });
      await ask({ method: 'PUT', body: Buffer.from('abc') });

      assert.equal(
        origin.received(),
        'GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n' +
          'PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc',
      );
    });

    it('keeps connections for others when many bodies are slow, and blames no target for the wait', async () => {
      origin = await startTcpOrigin((socket, text) => {
        if (text.startsWith('GET')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx');
      });
      const body: BodySource = {
        length: 9,
        expectsContinue: false,
        bytesRead: 0,
        start: () => undefined,
        pause: () => undefined,
        resume: () => undefined,
        discard: () => undefined,
      };
      const [settled, late]: [string[], Promise<unknown>[]] = [[], []];

      for (let count = 0; count < 600; count++) {
        const sent = ask({ method: 'POST', body }, { connectMs: 250 });
        late.push(sent.catch((error: Error) => settled.push(error.message)));
      }

      assert.equal(await ask({}, { connectMs: 250 }), '200 x');
      await Promise.race(late);
      assert.equal(settled[0], 'overloaded');
      await origin.close();
      await Promise.all(late);
    });
  });
});
