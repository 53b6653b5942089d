// Targets that speak HTTP/2: what is sent, and what is taken for a response.
// Must not go through the gateway: test/gateway/http/h2/proxy.test.ts does.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:tls';
import { makeCertificate } from '../../../../support/wire/certificates.ts';
import { FLAG, FRAME, frame, headersFrame, packNumber } from '../../../../support/wire/h2-frames.ts';
import { echo, startFrameOrigin, startH2Origin, startSecureH2Origin } from '../../../../support/wire/h2-origin.ts';
import { type Caller, createCaller, makeSource, OK, REQUEST, startFrames } from './caller.ts';

describe('HTTP/2 upstream client', () => {
  let caller: Caller;

  beforeEach(() => {
    caller = createCaller();
  });

  afterEach(() => caller.close());

  it('writes requests anew and reads responses whole', async () => {
    const origin = await startH2Origin((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' });
      stream.respond({ ':status': 201, 'x-b': ['1', '2'] }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '9' }));
      stream.end('hello');
    });

    const outcome = await caller.send(caller.addressOf(origin));

    assert.equal(outcome.status, 201);
    assert.equal(outcome.body, 'hello');
    assert.deepEqual(outcome.informational, [103]);
    assert.deepEqual(outcome.trailers, ['x-sum', '9']);
    assert.ok(!outcome.headers.includes(':status'));
    const { raw } = origin.seen[0] ?? { raw: [] };
    const lines = Object.fromEntries(raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1]]] : [])));
    assert.deepEqual(lines, {
      ':method': 'GET',
      ':path': '/a?b',
      ':scheme': 'http',
      ':authority': 'h.test',
      'x-a': '1',
      te: 'trailers',
    });
  });

  it('declines to switch protocols', async () => {
    const origin = await startH2Origin((stream) => stream.respond({ ':status': 400 }, { endStream: true }));

    const outcome = await caller.send(caller.addressOf(origin), { upgrade: 'websocket' });

    assert.equal(outcome.status, 400);
    assert.equal(origin.seen[0]?.fields.upgrade, undefined);
  });

  it('sends bodies with their length, or without one and with trailers', async () => {
    const trailers: unknown[] = [];
    const origin = await startH2Origin((stream) => {
      stream.on('trailers', (fields) => trailers.push(fields['x-t']));
      echo(stream);
    });
    const address = caller.addressOf(origin);

    const whole = await caller.send(address, { method: 'POST', body: Buffer.from('whole') });
    const flowing = await caller.send(address, {
      method: 'POST',
      body: makeSource(['a', 'b'], { trailers: ['X-T', '1'] }),
    });
    const empty = await caller.send(address, { method: 'POST' });

    assert.deepEqual([whole.body, flowing.body, empty.body], ['whole', 'ab', '']);
    assert.deepEqual(
      origin.seen.map(({ fields }) => fields['content-length']),
      ['5', undefined, '0'],
    );
    assert.deepEqual(trailers, ['1']);
  });

  it('sends a large body whole', async () => {
    const origin = await startH2Origin(echo);
    const body = randomBytes(300_001);

    const outcome = await caller.send(caller.addressOf(origin), { method: 'POST', body });

    assert.equal(origin.seen[0]?.fields['content-length'], '300001');
    assert.ok(outcome.body === body.toString('latin1'));
  });

  it('counts the time for an answer from when the target took the body', async () => {
    const origin = await startFrames(() => undefined);
    const body = Buffer.alloc(200_000);

    const { end } = await caller.send(caller.addressOf(origin), { method: 'POST', responseMs: 50, idleMs: 100, body });

    assert.equal(end, 'idle-timeout');
  });

  it('asks for leave to send where the client does', async () => {
    const origin = await startH2Origin((stream) => {
      stream.additionalHeaders({ ':status': 100 });
      echo(stream);
    });

    const outcome = await caller.send(caller.addressOf(origin), {
      method: 'POST',
      body: makeSource(['hi'], { expectsContinue: true }),
    });

    assert.equal(outcome.body, 'hi');
    assert.equal(origin.seen[0]?.fields.expect, '100-continue');
  });

  const RESPONSES: readonly (readonly [string, (stream: number) => readonly Buffer[], string])[] = [
    ['a whole response', (id) => [headersFrame(id, OK)], 'done'],
    ['Connection', (id) => [headersFrame(id, [...OK, ['connection', 'close']])], 'invalid-response'],
    ['Transfer-Encoding', (id) => [headersFrame(id, [...OK, ['transfer-encoding', 'chunked']])], 'invalid-response'],
    ['a name in upper case', (id) => [headersFrame(id, [...OK, ['X-A', '1']])], 'invalid-response'],
    ['no :status', (id) => [headersFrame(id, [['x-a', '1']])], 'invalid-response'],
    [':status 101', (id) => [headersFrame(id, [[':status', '101']], FLAG.endHeaders)], 'invalid-response'],
    [':status 600', (id) => [headersFrame(id, [[':status', '600']])], 'invalid-response'],
    [
      '1 000 lines',
      (id) => [headersFrame(id, [...OK, ...Array.from({ length: 1_000 }, () => ['a', 'b'] as const)])],
      'invalid-response',
    ],
    [
      'less than Content-Length says',
      (id) => [
        headersFrame(id, [...OK, ['content-length', '9']], FLAG.endHeaders),
        frame(FRAME.data, FLAG.endStream, id, Buffer.from('half')),
      ],
      'broken-response',
    ],
    [
      'a reset without an error behind half a response',
      (id) => [
        headersFrame(id, OK, FLAG.endHeaders),
        frame(FRAME.data, 0, id, Buffer.from('half')),
        frame(FRAME.reset, 0, id, packNumber(0)),
      ],
      'broken-response',
    ],
    [
      'a reset with CANCEL behind half a response',
      (id) => [
        headersFrame(id, OK, FLAG.endHeaders),
        frame(FRAME.data, 0, id, Buffer.from('half')),
        frame(FRAME.reset, 0, id, packNumber(8)),
      ],
      'broken-response',
    ],
    [
      'a reset without an error before a response',
      (id) => [frame(FRAME.reset, 0, id, packNumber(0))],
      'reset-before-response',
    ],
    [
      '600 trailers',
      (id) => [
        headersFrame(id, OK, FLAG.endHeaders),
        headersFrame(
          id,
          Array.from({ length: 600 }, () => ['a', 'b'] as const),
        ),
      ],
      'broken-response',
    ],
    [
      'a request for calm before a response',
      (id) => [frame(FRAME.reset, 0, id, packNumber(11))],
      'reset-before-response',
    ],
    ['a reset before a response', (id) => [frame(FRAME.reset, 0, id, packNumber(2))], 'reset-before-response'],
  ];
  for (const [name, answer, expected] of RESPONSES) {
    it(`takes ${name} for ${expected}`, async () => {
      const origin = await startFrames(({ stream }, socket) => socket.write(Buffer.concat(answer(stream))));

      assert.equal((await caller.send(caller.addressOf(origin), { method: 'POST' })).end, expected);
    });
  }

  for (const code of [0, 8]) {
    it(`hands a whole response to who reads it slowly, also when a reset with code ${code} follows`, async () => {
      const parts = ['one', 'two', 'three'];
      const origin = await startFrames(({ stream }, socket) => {
        const frames = parts.map((part, at) =>
          frame(FRAME.data, at === 2 ? FLAG.endStream : 0, stream, Buffer.from(part)),
        );
        const head = headersFrame(stream, OK, FLAG.endHeaders);
        socket.write(Buffer.concat([head, ...frames, frame(FRAME.reset, 0, stream, packNumber(code))]));
      });
      const address = caller.addressOf(origin);
      let body = '';
      const request = { ...REQUEST, method: 'POST', body: makeSource([]) };

      const end = await new Promise<string>((resolve) => {
        const call = caller.client.send(address, request, {
          onInformational: () => undefined,
          onUpgrade: () => undefined,
          onHead: () => undefined,
          onChunk(chunk) {
            body += Buffer.from(chunk).toString();
            setImmediate(() => setImmediate(() => call.resume()));
            return false;
          },
          onEnd: () => resolve('done'),
          onError: (failure) => resolve(failure),
        });
      });

      assert.equal(end, 'done');
      assert.equal(body, parts.join(''));
    });
  }

  it('speaks to targets over TLS that have agreed to HTTP/2, and to no others', async () => {
    const { chain, privateKey } = makeCertificate({ name: 'localhost', hosts: ['127.0.0.1'] });
    const agreeing = await startSecureH2Origin(echo, { cert: chain, key: privateKey });
    const other = createServer({ cert: chain, key: privateKey }, (socket) => socket.on('error', () => undefined));
    caller.keep(() => other.close());
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const first = caller.addressOf(agreeing, { protocol: 'h2', tls: { id: 'lax', verify: false } });
    const second = { ...first, port: (other.address() as AddressInfo).port };

    const ends = [
      await caller.send(first),
      await caller.send(second),
      await caller.send({ ...first, tls: { id: '', verify: true } }),
    ];

    assert.deepEqual(
      ends.map(({ end }) => end),
      ['done', 'connect-failed', 'connect-failed'],
    );
    assert.equal(agreeing.seen[0]?.fields[':scheme'], 'https');
  });

  it('says how far a try came', async () => {
    const ends: string[] = [];
    const silent = caller.addressOf(await startFrames(() => undefined));
    ends.push((await caller.send(silent, { responseMs: 50 })).end);
    ends.push((await caller.send(silent, { deadlineMs: performance.now() + 50 })).end);
    ends.push((await caller.send(silent, { method: 'POST', idleMs: 50, body: makeSource([]) })).end);
    const half = caller.addressOf(
      await startFrames(({ stream }, socket) => socket.write(headersFrame(stream, OK, FLAG.endHeaders))),
    );
    ends.push((await caller.send(half, { idleMs: 50 })).end);
    const dropped = caller.addressOf(await startFrames((_, socket) => socket.destroy()));
    ends.push((await caller.send(dropped)).end);
    const deaf = caller.addressOf(await startFrameOrigin((_, socket) => socket.destroy()));
    ends.push((await caller.send(deaf)).end);
    const gone = await startFrames(() => undefined);
    await gone.close();
    ends.push((await caller.send({ ...silent, port: gone.port })).end);

    assert.deepEqual(ends, [
      'response-timeout',
      'deadline-exceeded',
      'request-aborted',
      'idle-timeout',
      'reset-before-response',
      'reset-before-response',
      'connect-failed',
    ]);
  });
});
