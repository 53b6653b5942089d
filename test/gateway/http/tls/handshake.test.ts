// TLS toward clients over real handshakes: which versions and protocols are spoken, what is carried, what is reaped.
// Must not test which certificate is shown: shown-certificates.test.ts does.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect, createServer } from 'node:net';
import { openRaw } from '../../../support/engine.ts';
import { makeApi, makeRoute, putAll } from '../../../support/entities.ts';
import { until } from '../../../support/until.ts';
import { startOrigin } from '../../../support/wire/origin.ts';
import { openSecure, type SecureGateway, startSecureGateway } from '../../../support/wire/secure-gateway.ts';
import { entityFor, openTlsStage, root, type TlsStage } from './tls-stage.ts';

describe('TLS toward clients', () => {
  let stage: TlsStage;
  let gateway: SecureGateway;

  before(async () => {
    stage = await openTlsStage();
  });

  afterEach(() => gateway.close());
  after(() => stage.origin.close());

  it('carries requests, and tells the upstream that they came over https', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])]);
    const client = await openSecure(gateway.tlsPort, {
      servername: 'a.test',
      ca: root.certificate,
      rejectUnauthorized: true,
    });

    const answers = [await client.ask('a.test', '/1'), await client.ask('a.test', '/2')];
    client.close();

    assert.deepEqual(
      answers.map(({ status, body }) => [status, body]),
      [
        [200, 'ok'],
        [200, 'ok'],
      ],
    );
    assert.equal(client.socket.alpnProtocol, false);
    const lines = stage.origin.seen.at(-1)?.rawHeaders ?? [];
    assert.equal(lines[lines.indexOf('X-Forwarded-Proto') + 1], 'https');
  });

  it('carries large bodies both ways whole', async () => {
    const body = randomBytes(3_000_000);
    const echo = await startOrigin((seen, response) => response.end(seen.body));
    gateway = await startSecureGateway();
    const routes = [makeRoute({ paths: ['/'] })];
    await gateway.apply(
      putAll({
        certificates: [entityFor('a', ['a.test'])],
        apis: [makeApi({ name: 'echo', upstream: echo.url, routes })],
      }),
    );

    const hash = createHash('sha256');
    const { port, agent } = { port: gateway.tlsPort, agent: false };
    const call = request({ port, agent, host: '127.0.0.1', method: 'POST', rejectUnauthorized: false });
    call.end(body);
    const [response] = await once(call, 'response');
    for await (const chunk of response) hash.update(chunk);
    await echo.close();

    assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'));
  });

  it('speaks TLS 1.2 and 1.3 and nothing older, and no cipher without forward secrecy', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])]);
    const speak = async (options: object): Promise<string | null> => {
      const client = await openSecure(gateway.tlsPort, { servername: 'a.test', ...options });
      const protocol = client.socket.getProtocol();
      client.close();
      return protocol;
    };

    assert.equal(await speak({ maxVersion: 'TLSv1.3' }), 'TLSv1.3');
    assert.equal(await speak({ maxVersion: 'TLSv1.2' }), 'TLSv1.2');
    await assert.rejects(speak({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }));
    await assert.rejects(speak({ maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' }));
    await assert.rejects(speak({ maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' }));
    assert.equal(gateway.handshakes('failed'), 3);
    assert.equal(gateway.log.length, 0);
  });

  it('speaks HTTP/2 with whom it agrees on that', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])]);
    const session = connectHttp2(`https://127.0.0.1:${gateway.tlsPort}`, {
      servername: 'a.test',
      rejectUnauthorized: false,
    });
    const statuses = await Promise.all(
      ['/1', '/2'].map(async (path) => {
        const stream = session.request({ ':path': path, ':authority': 'a.test' });
        const [fields] = await once(stream, 'response');
        stream.resume();
        return fields[':status'];
      }),
    );
    const { alpnProtocol } = session;
    session.destroy();

    assert.deepEqual([alpnProtocol, statuses], ['h2', [200, 200]]);
    const lines = stage.origin.seen.at(-1)?.rawHeaders ?? [];
    assert.equal(lines[lines.indexOf('X-Forwarded-Proto') + 1], 'https');
  });

  it('agrees on HTTP/1.1, and on nothing with a client that wants something else', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])]);

    const client = await openSecure(gateway.tlsPort, { servername: 'a.test', ALPNProtocols: ['h3', 'http/1.1'] });
    client.close();

    assert.equal(client.socket.alpnProtocol, 'http/1.1');
    await assert.rejects(openSecure(gateway.tlsPort, { servername: 'a.test', ALPNProtocols: ['spdy/3'] }));
  });

  it('tells a client that speaks in clear', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])]);
    const client = await openRaw(gateway.tlsPort);

    client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const { text } = await client.closed();

    assert.match(text, /^HTTP\/1\.1 400 .*this port speaks TLS/s);
    assert.equal(gateway.handshakes('not-tls'), 1);
  });

  it('answers what is no ClientHello with an alert', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])]);
    const client = await openRaw(gateway.tlsPort);

    client.write('\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00');
    const { text } = await client.closed();

    assert.equal(Buffer.from(text, 'latin1').toString('hex'), '15030300020232');
  });

  it('reaps handshakes that do not come to an end', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])], { handshakeTimeoutMs: 300 });
    const silent = await openRaw(gateway.tlsPort);
    const half = await openRaw(gateway.tlsPort);
    half.write('\x16\x03\x01\x02\x00\x01');

    await Promise.all([silent.closed(), half.closed()]);

    assert.equal(gateway.handshakes('timeout'), 2);
  });

  it('drops the oldest of too many handshakes, and counts who leaves', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])], { maxHandshakes: 2 });
    const [first, second] = [await openRaw(gateway.tlsPort), await openRaw(gateway.tlsPort)];

    const client = await openSecure(gateway.tlsPort, { servername: 'a.test' });
    await first.closed();
    second.socket.destroy();
    await until(() => gateway.handshakes('aborted') === 1);
    client.close();

    assert.deepEqual([gateway.handshakes('dropped'), gateway.handshakes('ok')], [1, 1]);
  });

  it('reads a ClientHello that comes byte by byte', async () => {
    gateway = await stage.start([entityFor('a', ['a.test']), entityFor('b', ['b.test'])]);
    // A client behind a wire that passes one byte at a time.
    const wire = createServer((near) => {
      const far = connect(gateway.tlsPort, '127.0.0.1');
      far.setNoDelay(true);
      far.pipe(near);
      near.on('data', (bytes: Buffer) => {
        for (const byte of bytes) far.write(Buffer.from([byte]));
      });
      near.on('close', () => far.destroy());
      far.on('error', () => near.destroy());
      near.on('error', () => far.destroy());
    });
    wire.listen(0, '127.0.0.1');
    await once(wire, 'listening');
    const { port } = wire.address() as { port: number };

    const client = await openSecure(port, { servername: 'b.test' });
    const answer = await client.ask('b.test');
    const { subject } = client.socket.getPeerCertificate();
    client.close();
    wire.close();

    assert.deepEqual([subject.CN, answer.status], ['b', 200]);
  });
});
