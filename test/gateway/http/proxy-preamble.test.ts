// The PROXY header before real connections: required of whom it is expected, refused of everybody else.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTls } from 'node:tls';
import { openRaw } from '../../support/engine.ts';
import { makeApi, makeCertificateEntity, makeRoute, putAll } from '../../support/entities.ts';
import { makeCertificate } from '../../support/wire/certificates.ts';
import { headerOf, type Origin, startOrigin } from '../../support/wire/origin.ts';
import {
  type SecureGateway,
  type SecureGatewayOptions,
  startSecureGateway,
} from '../../support/wire/secure-gateway.ts';

const LINE = 'PROXY TCP4 192.0.2.7 198.51.100.2 60000 443\r\n';
const GET = 'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n';
const V2_LOCAL = '\r\n\r\n\0\r\nQUIT\n\x20\0\0\0';

describe('the PROXY header of connections', () => {
  let origin: Origin;
  let gateway: SecureGateway;
  const server = makeCertificate({ name: 'a', hosts: ['a.test'] });

  async function start(options: SecureGatewayOptions = { proxyProtocolFrom: ['127.0.0.0/8'] }): Promise<void> {
    gateway = await startSecureGateway(options);
    const { chain: certificate, privateKey } = server;
    await gateway.apply(
      putAll({
        certificates: [makeCertificateEntity({ name: 'a', hosts: ['a.test'], certificate, privateKey })],
        apis: [makeApi({ name: 'api', upstream: origin.url, routes: [makeRoute({ paths: ['/'] })] })],
      }),
    );
  }

  /** Gives what was answered, and for whom the upstream took it. */
  async function send(bytes: string): Promise<readonly [string, string | undefined]> {
    const client = await openRaw(gateway.port);
    client.write(bytes);
    const { text } = await client.closed();
    return [
      text.slice(9, 12),
      text.startsWith('HTTP/1.1 200') ? headerOf(origin.seen.at(-1), 'x-real-ip')[0] : undefined,
    ];
  }

  before(async () => {
    origin = await startOrigin();
  });

  afterEach(() => gateway.close());
  after(() => origin.close());

  it('names the client, also for trusted proxies behind it', async () => {
    await start({ proxyProtocolFrom: ['127.0.0.1'], trustedProxies: ['192.0.2.7'] });

    assert.deepEqual(await send(LINE + GET), ['200', '192.0.2.7']);
    assert.deepEqual(await send(LINE + GET.replace('Host', 'X-Forwarded-For: 203.0.113.9\r\nHost')), [
      '200',
      '203.0.113.9',
    ]);
  });

  it('leaves the address alone where the balancer speaks for itself', async () => {
    await start();

    assert.deepEqual(await send(V2_LOCAL + GET), ['200', '127.0.0.1']);
    assert.deepEqual(await send(`PROXY UNKNOWN\r\n${GET}`), ['200', '127.0.0.1']);
  });

  it('must be there, first and once', async () => {
    await start();

    assert.deepEqual(await send(GET), ['', undefined]);
    assert.deepEqual(await send(`\r\n${LINE}${GET}`), ['', undefined]);
    assert.deepEqual(await send(LINE + LINE + GET), ['400', undefined]);
  });

  it('is no request of those from whom it is not expected', async () => {
    await start({ proxyProtocolFrom: ['192.0.2.0/24'] });

    assert.deepEqual(await send(LINE + GET), ['400', undefined]);
    assert.deepEqual(await send(GET), ['200', '127.0.0.1']);
  });

  it('may come in pieces, with the request behind it in the same one, but not late', async () => {
    await start({ proxyProtocolFrom: ['127.0.0.1'], headerTimeoutMs: 400 });
    const client = await openRaw(gateway.port);
    for (const byte of LINE) client.write(byte);
    client.write(GET);
    const { text } = await client.closed();
    const late = await openRaw(gateway.port);
    late.write(LINE.slice(0, 20));

    const closed = await late.closed();

    assert.match(text, /^HTTP\/1\.1 200/);
    assert.equal(closed.text, '');
  });

  it('comes before the handshake on the port that speaks TLS', async () => {
    await start();
    const raw = await openRaw(gateway.tlsPort);
    raw.socket.removeAllListeners('data');
    raw.write(LINE);
    const client = connectTls({ socket: raw.socket, servername: 'a.test', rejectUnauthorized: false });
    await once(client, 'secureConnect');

    client.write(GET);
    const [bytes] = await once(client, 'data');
    client.destroy();

    assert.match(String(bytes), /^HTTP\/1\.1 200/);
    assert.deepEqual(headerOf(origin.seen.at(-1), 'x-real-ip'), ['192.0.2.7']);
  });
});
