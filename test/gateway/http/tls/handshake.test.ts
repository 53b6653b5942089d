// TLS toward clients over real handshakes: which certificate is shown, which versions are spoken, what is resumed, what is reaped.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { request } from 'node:https';
import { connect, createServer } from 'node:net';
import type { Api, Certificate } from '../../../../gateway/core/model.ts';
import { makeAuthority, makeCertificate } from '../../../support/certificates.ts';
import { openRaw } from '../../../support/engine.ts';
import { makeApi, makeCertificateEntity, makeRoute, putAll } from '../../../support/entities.ts';
import { type Origin, startOrigin } from '../../../support/origin.ts';
import {
  openSecure,
  type SecureGateway,
  type SecureGatewayOptions,
  startSecureGateway,
} from '../../../support/secure-gateway.ts';
import { until } from '../../../support/until.ts';

const root = makeAuthority('Root');

function entityFor(name: string, hosts: readonly string[], fields: Partial<Certificate> = {}): Certificate {
  const made = makeCertificate({ name, hosts, issuer: root, usage: 'server' });
  return makeCertificateEntity({ name, hosts, certificate: made.chain, privateKey: made.privateKey, ...fields });
}

describe('TLS toward clients', () => {
  let origin: Origin;
  let api: Api;
  let gateway: SecureGateway;

  async function start(certificates: readonly Certificate[], options?: SecureGatewayOptions): Promise<void> {
    gateway = await startSecureGateway(options);
    await gateway.apply(putAll({ certificates, apis: [api] }));
  }

  /** Gives the common name of the certificate that is shown for a name. */
  async function shownFor(servername: string): Promise<string> {
    const client = await openSecure(gateway.tlsPort, { servername });
    const { subject } = client.socket.getPeerCertificate();
    client.close();
    return String(subject.CN);
  }

  before(async () => {
    origin = await startOrigin();
    api = makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] });
  });

  afterEach(() => gateway.close());
  after(() => origin.close());

  it('carries requests, and tells the upstream that they came over https', async () => {
    await start([entityFor('a', ['a.test'])]);
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
    const lines = origin.seen.at(-1)?.rawHeaders ?? [];
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

  it('shows the certificate of the name: exact before wildcard, in any case, for one label', async () => {
    await start([
      entityFor('exact', ['www.shop.test']),
      entityFor('wild', ['*.shop.test']),
      entityFor('first', ['z.test']),
      entityFor('unshown', []),
    ]);
    const cases = [
      ['www.shop.test', 'exact'],
      ['WWW.Shop.TEST', 'exact'],
      ['www.shop.test.', 'exact'],
      ['pay.shop.test', 'wild'],
      ['z.test', 'first'],
      // The first by name that has hosts.
      ['a.b.shop.test', 'exact'],
      ['shop.test', 'exact'],
      ['unknown.test', 'exact'],
      ['', 'exact'],
    ];

    for (const [name = '', expected] of cases) assert.equal(await shownFor(name), expected, name);
  });

  it('refuses the handshake when there is nothing to show', async () => {
    await start([]);

    const refused = openSecure(gateway.tlsPort, { servername: 'a.test' });

    await assert.rejects(refused, { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    assert.equal(gateway.handshakes('no-certificate'), 1);
  });

  it('speaks TLS 1.2 and 1.3 and nothing older, and no cipher without forward secrecy', async () => {
    await start([entityFor('a', ['a.test'])]);
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
    await start([entityFor('a', ['a.test'])]);
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
    const lines = origin.seen.at(-1)?.rawHeaders ?? [];
    assert.equal(lines[lines.indexOf('X-Forwarded-Proto') + 1], 'https');
  });

  it('agrees on HTTP/1.1, and on nothing with a client that wants something else', async () => {
    await start([entityFor('a', ['a.test'])]);

    const client = await openSecure(gateway.tlsPort, { servername: 'a.test', ALPNProtocols: ['h3', 'http/1.1'] });
    client.close();

    assert.equal(client.socket.alpnProtocol, 'http/1.1');
    await assert.rejects(openSecure(gateway.tlsPort, { servername: 'a.test', ALPNProtocols: ['spdy/3'] }));
  });

  it('replaces a certificate under open connections: they go on, new ones see the new', async () => {
    const before = entityFor('before', ['a.test']);
    await start([before]);
    const open = await openSecure(gateway.tlsPort, { servername: 'a.test' });
    const first = await open.ask('a.test');

    const renewed = { ...entityFor('after', ['a.test']), id: before.id };
    await gateway.apply(putAll({ certificates: [renewed] }));
    const second = await open.ask('a.test');
    const shown = await shownFor('a.test');
    await gateway.apply([{ kind: 'certificate', id: before.id }]);
    const third = await open.ask('a.test');
    open.close();

    assert.deepEqual([first.status, second.status, third.status, shown], [200, 200, 200, 'after']);
    await assert.rejects(openSecure(gateway.tlsPort, { servername: 'a.test' }));
  });

  it('refuses a revision whose certificate does not load, and goes on with the old one', async () => {
    await start([entityFor('a', ['a.test'])]);
    const other = makeCertificate({ name: 'other', hosts: ['b.test'] });
    const wrong = entityFor('b', ['b.test'], { privateKey: other.privateKey });
    const sealed = entityFor('c', ['c.test'], { privateKey: 'v1.a.b.c' });

    const prepared = await gateway.tryApply(putAll({ certificates: [wrong, sealed] }));

    assert.ok(!prepared.ok);
    assert.deepEqual(
      prepared.problems.map(({ id, pointer }) => [id, pointer]),
      [
        [wrong.id, '/certificate'],
        [sealed.id, '/privateKey'],
      ],
    );
    assert.ok(!JSON.stringify(prepared.problems).includes('PRIVATE'));
    assert.equal(await shownFor('b.test'), 'a');
  });

  it('resumes sessions until the tickets are sealed with other keys, and never over to another certificate', async () => {
    await start([entityFor('a', ['a.test']), entityFor('b', ['b.test'])]);
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      gateway.front.hosts.setTicketSecret(Buffer.alloc(48, 1));
      const first = await openSecure(gateway.tlsPort, { servername: 'a.test', maxVersion });
      await first.ask('a.test');
      const session = await first.session;
      const resume = async (servername: string): Promise<boolean> => {
        const client = await openSecure(gateway.tlsPort, { servername, session, maxVersion });
        const isReused = client.socket.isSessionReused();
        assert.equal((await client.ask(servername)).status, 200);
        client.close();
        return isReused;
      };
      const again = await resume('a.test');
      const elsewhere = await resume('b.test');
      gateway.front.hosts.setTicketSecret(Buffer.alloc(48, 2));
      const later = await resume('a.test');
      first.close();

      assert.deepEqual([again, elsewhere, later], [true, false, false], maxVersion);
    }
  });

  it('resumes at another process that has the same secret', async () => {
    const certificates = [entityFor('a', ['a.test'])];
    await start(certificates);
    const other = await startSecureGateway();
    await other.apply(putAll({ certificates, apis: [api] }));
    for (const { front } of [gateway, other]) front.hosts.setTicketSecret(Buffer.alloc(48, 7));
    const first = await openSecure(gateway.tlsPort, { servername: 'a.test' });
    await first.ask('a.test');

    const second = await openSecure(other.tlsPort, { servername: 'a.test', session: await first.session });
    const isReused = second.socket.isSessionReused();
    first.close();
    second.close();
    await other.close();

    assert.ok(isReused);
  });

  it('tells a client that speaks in clear', async () => {
    await start([entityFor('a', ['a.test'])]);
    const client = await openRaw(gateway.tlsPort);

    client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    const { text } = await client.closed();

    assert.match(text, /^HTTP\/1\.1 400 .*this port speaks TLS/s);
    assert.equal(gateway.handshakes('not-tls'), 1);
  });

  it('answers what is no ClientHello with an alert', async () => {
    await start([entityFor('a', ['a.test'])]);
    const client = await openRaw(gateway.tlsPort);

    client.write('\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00');
    const { text } = await client.closed();

    assert.equal(Buffer.from(text, 'latin1').toString('hex'), '15030300020232');
  });

  it('reaps handshakes that do not come to an end', async () => {
    await start([entityFor('a', ['a.test'])], { handshakeTimeoutMs: 300 });
    const silent = await openRaw(gateway.tlsPort);
    const half = await openRaw(gateway.tlsPort);
    half.write('\x16\x03\x01\x02\x00\x01');

    await Promise.all([silent.closed(), half.closed()]);

    assert.equal(gateway.handshakes('timeout'), 2);
  });

  it('drops the oldest of too many handshakes, and counts who leaves', async () => {
    await start([entityFor('a', ['a.test'])], { maxHandshakes: 2 });
    const [first, second] = [await openRaw(gateway.tlsPort), await openRaw(gateway.tlsPort)];

    const client = await openSecure(gateway.tlsPort, { servername: 'a.test' });
    await first.closed();
    second.socket.destroy();
    await until(() => gateway.handshakes('aborted') === 1);
    client.close();

    assert.deepEqual([gateway.handshakes('dropped'), gateway.handshakes('ok')], [1, 1]);
  });

  it('reads a ClientHello that comes byte by byte', async () => {
    await start([entityFor('a', ['a.test']), entityFor('b', ['b.test'])]);
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
