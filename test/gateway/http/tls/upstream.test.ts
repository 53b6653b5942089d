// TLS toward targets: verified unless told otherwise, by whom it is told, with the name and the certificate it is told.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Certificate, UpstreamTls } from '../../../../gateway/core/model.ts';
import { startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeCertificateEntity, makeRoute, makeUpstream, putAll } from '../../../support/entities.ts';
import { makeAuthority, makeCertificate, type TestCertificate } from '../../../support/wire/certificates.ts';

const root = makeAuthority('Targets Root');
const inter = makeAuthority('Targets Intermediate', { issuer: root });
const good = makeCertificate({ name: 'target', hosts: ['127.0.0.1', 'inner.test'], issuer: inter, usage: 'server' });
const named = makeCertificate({ name: 'named', hosts: ['inner.test'], issuer: inter, usage: 'server' });
const expired = makeCertificate({ name: 'old', hosts: ['127.0.0.1'], issuer: inter, fromDays: -9, toDays: -1 });
const selfSigned = makeCertificate({ name: 'self', hosts: ['127.0.0.1'] });
const clients = makeAuthority('Clients Root');
const shown = makeCertificate({ name: 'gateway', issuer: clients, usage: 'client' });
const renewed = makeCertificate({ name: 'renewed', issuer: clients, usage: 'client' });

describe('TLS toward targets', () => {
  let gateway: TestGateway;
  const servers: Server[] = [];

  /** Answers with the name that was asked for and the certificate that was shown. */
  async function startTarget(one: TestCertificate, options: object = {}): Promise<number> {
    const server = createServer({ cert: one.chain, key: one.privateKey, ...options }, (request, response) => {
      const socket = request.socket as TLSSocket;
      response.end(`${socket.servername || '-'} ${socket.getPeerCertificate()?.subject?.CN ?? '-'}`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  async function ask(port: number, tls: UpstreamTls, certificates: readonly Certificate[] = []): Promise<string> {
    const upstream = makeUpstream({
      id: 'upstream',
      name: 'target',
      protocol: 'https',
      targets: [{ host: '127.0.0.1', port, weight: 1 }],
      tls,
    });
    const api = makeApi({
      id: 'api',
      name: 'api',
      upstream: { name: 'target' },
      routes: [makeRoute({ paths: ['/'] })],
      retries: { attempts: 0 },
    });
    await gateway.apply(putAll({ certificates, upstreams: [upstream], apis: [api] }));
    return await get();
  }

  async function get(): Promise<string> {
    const response = await fetch(gateway.url);
    const text = await response.text();
    return response.status === 200 ? text : `${response.status} ${JSON.parse(text).code}`;
  }

  beforeEach(async () => {
    gateway = await startGateway();
  });

  afterEach(async () => {
    await gateway.close();
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  it('verifies unless told otherwise', async () => {
    const port = await startTarget(selfSigned);
    const byUrl = makeApi({
      name: 'by-url',
      upstream: `https://127.0.0.1:${port}`,
      routes: [makeRoute({ paths: ['/url'] })],
    });

    assert.equal(await ask(port, { verify: true }), '502 UPSTREAM_CONNECT_FAILED');
    await gateway.apply(putAll({ apis: [byUrl] }));
    assert.equal((await fetch(`${gateway.url}/url`)).status, 502);
  });

  it('does not verify where it is told not to', async () => {
    assert.equal(await ask(await startTarget(selfSigned), { verify: false }), '- -');
  });

  const CASES: readonly (readonly [string, TestCertificate, UpstreamTls, string])[] = [
    ['a chain down to the root that is named', good, { verify: true, ca: root.certificate }, '- -'],
    ['an intermediate that is named', good, { verify: true, ca: inter.certificate }, '- -'],
    ['the very certificate that is named', selfSigned, { verify: true, ca: selfSigned.certificate }, '- -'],
    ['another root', good, { verify: true, ca: clients.certificate }, '502 UPSTREAM_CONNECT_FAILED'],
    ['a certificate that has expired', expired, { verify: true, ca: root.certificate }, '502 UPSTREAM_CONNECT_FAILED'],
    ['a certificate of another name', named, { verify: true, ca: root.certificate }, '502 UPSTREAM_CONNECT_FAILED'],
    [
      'the name that is asked for',
      named,
      { verify: true, ca: root.certificate, serverName: 'inner.test' },
      'inner.test -',
    ],
    [
      'a name that it does not have',
      good,
      { verify: true, ca: root.certificate, serverName: 'x.test' },
      '502 UPSTREAM_CONNECT_FAILED',
    ],
  ];
  for (const [what, certificate, tls, expected] of CASES) {
    it(`judges ${what}: ${expected}`, async () => {
      assert.equal(await ask(await startTarget(certificate), tls), expected);
    });
  }

  it('shows the certificate that is named, and another as soon as it is replaced', async () => {
    const port = await startTarget(good, { requestCert: true, rejectUnauthorized: true, ca: clients.certificate });
    const tls = { verify: true, ca: root.certificate };
    const entity = makeCertificateEntity({ name: 'client', certificate: shown.chain, privateKey: shown.privateKey });

    const without = await ask(port, tls);
    const first = await ask(port, { ...tls, clientCertificate: { name: 'client' } }, [entity]);
    const next = { ...entity, certificate: renewed.chain, privateKey: renewed.privateKey };
    await gateway.apply(putAll({ certificates: [next] }));
    const second = await get();

    assert.match(without, /^502 /);
    assert.deepEqual([first, second], ['- gateway', '- renewed']);
  });

  it('keeps connections of different demands apart', async () => {
    const port = await startTarget(good);
    const trusting = await ask(port, { verify: false });
    const strict = await ask(port, { verify: true, ca: clients.certificate });

    assert.deepEqual([trusting, strict], ['- -', '502 UPSTREAM_CONNECT_FAILED']);
  });
});
