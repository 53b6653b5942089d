// Tests the generators of the other wires: TLS handshakes, HTTP/2, WebSocket messages, and the reading of h2load.
// Must not measure speed.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttp2Server } from 'node:http2';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { makeCertificate } from '../../test/support/wire/certificates.ts';
import { SERVER_NAME } from './certificate.ts';
import { acceptKey, CLIENT_FRAME, defineFrameCounter, repeatFrame, SERVER_FRAME } from './frames.ts';
import { readLatencies, readSummary } from './h2load.ts';
import { makeConnections, resumeConnections } from './handshake-load.ts';
import { generateStreams } from './http2-load.ts';
import type { LocalPlan } from './run-generator.ts';
import { generateMessages } from './websocket-load.ts';

const SECONDS = 0.2;

async function planFor(server: Server, options: Partial<LocalPlan> = {}): Promise<LocalPlan> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { port, connections: 2, seconds: SECONDS, requests: [{ path: '/orders/1001', headers: {} }], ...options };
}

describe('readSummary', () => {
  const output = `
finished in 4.01s, 15746.00 req/s, 2.61MB/s
requests: 62984 total, 63048 started, 62984 done, 62981 succeeded, 3 failed, 2 errored, 1 timeout
status codes: 62981 2xx, 0 3xx, 0 4xx, 3 5xx
traffic: 10.44MB (10943556) total, 1.87MB (1961048) headers (space savings 76.13%), 6.13MB (6424368) data
`;

  it('reads requests, failures, time and body bytes', () => {
    assert.deepEqual(readSummary(output), { seconds: 4.01, succeeded: 62981, failed: 3, bodyBytes: 6424368 });
  });

  it('reads a time in another unit', () => {
    assert.equal(readSummary(output.replace('4.01s', '850.5ms')).seconds, 0.8505);
  });

  it('refuses output without a summary', () => {
    assert.throws(() => readSummary('could not connect'), /h2load failed:\ncould not connect/);
  });
});

describe('readLatencies', () => {
  it('gives the durations of answered requests, sorted', () => {
    const latencies = readLatencies(
      '1700000000000000\t200\t2500\n1700000000000100\t-1\t1\n1700000000000200\t200\t500\n',
    );

    assert.deepEqual([...latencies], [0.5, 2.5]);
  });
});

describe('frames', () => {
  it('answers a key as RFC 6455 section 1.3 shows', () => {
    assert.equal(acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  });

  it('masks the text that comes back', () => {
    const [mask, masked] = [CLIENT_FRAME.subarray(2, 6), CLIENT_FRAME.subarray(6)];

    const text = masked.map((byte, index) => byte ^ (mask[index % 4] ?? 0));

    assert.deepEqual(Buffer.from(text), SERVER_FRAME.subarray(2));
  });

  it('counts frames however the stream is cut', () => {
    const stream = repeatFrame(SERVER_FRAME, 3);
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const counter = defineFrameCounter(SERVER_FRAME)();

      assert.equal(counter.count(stream.subarray(0, cut)) + counter.count(stream.subarray(cut)), 3);
    }
  });

  it('counts frames in a chunk that is longer than what is compared at once', () => {
    assert.equal(defineFrameCounter(SERVER_FRAME)().count(repeatFrame(SERVER_FRAME, 5000)), 5000);
  });

  it('refuses other bytes', () => {
    const changed = Buffer.from(SERVER_FRAME);
    changed[10] = 0;

    assert.throws(() => defineFrameCounter(SERVER_FRAME)().count(changed), /other bytes/);
  });
});

describe('generateMessages', () => {
  const serve = (answer: (frames: number) => Buffer): Server =>
    createServer((socket) => {
      const counter = defineFrameCounter(CLIENT_FRAME)();
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
        socket.on('data', (chunk) => socket.write(answer(counter.count(chunk))));
      });
      socket.on('error', () => socket.destroy());
    });

  it('counts the messages that come back', async () => {
    const server = serve((count) => repeatFrame(SERVER_FRAME, count));

    const { units, failures } = await generateMessages(await planFor(server));
    server.close();

    assert.ok(units > 0);
    assert.equal(failures, 0);
  });

  it('counts a connection on which something else comes back as a failure', async () => {
    const server = serve(() => Buffer.from('noise'));

    const { units, failures } = await generateMessages(await planFor(server));
    server.close();

    assert.deepEqual([units, failures], [0, 2]);
  });
});

describe('generateStreams', () => {
  it('counts answers with another length than expected as failures', async () => {
    const server = createHttp2Server((_request, response) => response.end('ok'));
    const plan = await planFor(server);
    const requests = [{ path: '/', headers: {}, body: 'x', answerLength: 2 }];

    const good = await generateStreams({ ...plan, requests });
    const bad = await generateStreams({ ...plan, requests: [{ path: '/', headers: {}, answerLength: 3 }] });
    server.close();

    assert.ok(good.units > 0);
    assert.equal(good.failures, 0);
    assert.ok(bad.units > 0);
    assert.equal(bad.failures, bad.units);
  });
});

describe('TLS connections', () => {
  const { certificate, privateKey } = makeCertificate({ name: SERVER_NAME, hosts: [SERVER_NAME], usage: 'server' });
  const serve = (): Server & { readonly resumed: boolean[] } => {
    const resumed: boolean[] = [];
    const server = createSecureServer({ cert: certificate, key: privateKey }, (_request, response) => {
      response.writeHead(200, { 'content-length': 2 }).end('ok');
    });
    server.on('secureConnection', (socket) => resumed.push(socket.isSessionReused()));
    return Object.assign(server, { resumed });
  };

  it('are made with full handshakes', async () => {
    const server = serve();

    const { units, failures } = await makeConnections(await planFor(server, { certificate }));
    server.close();

    assert.ok(units > 0);
    assert.equal(failures, 0);
    assert.ok(!server.resumed.includes(true));
  });

  it('resume sessions, all but the first of each chain', async () => {
    const server = serve();

    const { units, failures } = await resumeConnections(await planFor(server, { certificate }));
    server.close();

    assert.ok(units > 0);
    assert.equal(failures, 0);
    assert.equal(server.resumed.filter((isResumed) => !isResumed).length, 2);
  });
});
