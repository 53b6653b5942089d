// Client certificates over real handshakes: who is asked, who passes, what plugins and upstreams learn, what cannot be forged.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type { Api, Certificate, ClientCertificatePolicy } from '../../../../gateway/core/model.ts';
import type { ClientCertificate } from '../../../../gateway/core/plugin.ts';
import { makeAuthority, makeCertificate, type TestCertificate } from '../../../support/certificates.ts';
import { makePlugin } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeCertificateEntity, makeRoute, putAll } from '../../../support/entities.ts';
import { headerOf, type Origin, startOrigin } from '../../../support/origin.ts';
import {
  openSecure,
  type SecureAnswer,
  type SecureGateway,
  startSecureGateway,
} from '../../../support/secure-gateway.ts';

const root = makeAuthority('Clients Root');
const inter = makeAuthority('Clients Intermediate', { issuer: root });
const foreignRoot = makeAuthority('Foreign Root');
// Says the same name as ours and has another key.
const impostor = makeAuthority('Clients Root');
const server = makeCertificate({ name: 'gateway', hosts: ['a.test', 'b.test', 'c.test', '*.w.test'], usage: 'server' });

const alice = makeCertificate({ name: 'alice', hosts: ['alice.test'], issuer: inter, usage: 'client' });
const foreign = makeCertificate({ name: 'mallory', issuer: foreignRoot, usage: 'client' });
const forged = makeCertificate({ name: 'alice', issuer: impostor, usage: 'client' });
const expired = makeCertificate({ name: 'old', issuer: root, usage: 'client', fromDays: -9, toDays: -1 });
const misused = makeCertificate({ name: 'server', issuer: root, usage: 'server' });
const selfSigned = makeCertificate({ name: 'self', usage: 'client' });
const soon = makeCertificate({ name: 'soon', issuer: root, usage: 'client', toDays: 1 });
/** Was issued by a leaf, which may not issue. */
const underLeaf = makeCertificate({ name: 'under', issuer: alice, usage: 'client' });

const policy = (fields: Partial<ClientCertificatePolicy> = {}): ClientCertificatePolicy => ({
  mode: 'required',
  ca: root.certificate,
  forward: false,
  ...fields,
});
const shownBy = (one: TestCertificate): { cert: string; key: string } => ({ cert: one.chain, key: one.privateKey });
const codeOf = ({ body }: SecureAnswer): string => (body.startsWith('{') ? JSON.parse(body).code : body);

describe('client certificates', () => {
  let origin: Origin;
  let gateway: SecureGateway;
  let seen: (ClientCertificate | undefined)[];
  let nowMs: () => number;
  const certificate: Certificate = makeCertificateEntity({
    name: 'gateway',
    hosts: ['a.test', 'b.test', 'c.test', '*.w.test'],
    certificate: server.chain,
    privateKey: server.privateKey,
  });

  function apiFor(host: string | undefined, path: string, clientCertificate?: ClientCertificatePolicy): Api {
    return makeApi({
      name: `api-${host ?? 'any'}${path.replaceAll('/', '-')}`,
      upstream: origin.url,
      routes: [makeRoute({ hosts: host === undefined ? [] : [host], paths: [path] })],
      ...(clientCertificate && { clientCertificate }),
    });
  }

  async function publish(...apis: readonly Api[]): Promise<void> {
    const bindings = [makeBinding({ plugin: 'witness' })];
    await gateway.apply(putAll({ certificates: [certificate], apis, bindings }));
  }

  /** Asks once over a connection of its own. */
  async function ask(host: string, shown?: TestCertificate, path = '/', servername = host): Promise<string> {
    const client = await openSecure(gateway.tlsPort, { servername, ...(shown && shownBy(shown)) });
    const answer = await client.ask(host, path);
    client.close();
    return codeOf(answer);
  }

  before(async () => {
    origin = await startOrigin();
  });

  beforeEach(async () => {
    seen = [];
    nowMs = Date.now;
    const witness = makePlugin('witness', { onRequest: (exchange) => void seen.push(exchange.client.certificate) });
    gateway = await startSecureGateway({ plugins: [witness], wallMs: () => nowMs() });
  });

  afterEach(() => gateway.close());
  after(() => origin.close());

  it('lets through whom an authority of the api vouches for, and nobody else', async () => {
    await publish(apiFor('a.test', '/', policy()));
    const before = origin.seen.length;
    const refused = 'CLIENT_CERTIFICATE_REFUSED';

    assert.equal(await ask('a.test', alice), 'ok');
    assert.equal(await ask('a.test'), refused);
    for (const one of [foreign, forged, expired, misused, selfSigned, underLeaf]) {
      assert.equal(await ask('a.test', one), refused, one.name);
    }
    assert.equal(origin.seen.length, before + 1);
  });

  it('needs the issuers between: a client that leaves them out is refused unless the api knows them', async () => {
    await publish(
      apiFor('a.test', '/', policy()),
      apiFor('b.test', '/', policy({ ca: root.certificate + inter.certificate })),
    );
    const lone = { ...alice, chain: alice.certificate };

    assert.equal(await ask('a.test', lone), 'CLIENT_CERTIFICATE_REFUSED');
    assert.equal(await ask('b.test', lone), 'ok');
  });

  it('lets clients without a certificate through where it is optional, but none with a bad one', async () => {
    await publish(apiFor('a.test', '/', policy({ mode: 'optional' })));

    assert.deepEqual([await ask('a.test'), seen.at(-1)], ['ok', undefined]);
    assert.deepEqual([await ask('a.test', alice), seen.at(-1)?.subject], ['ok', 'CN=alice']);
    assert.equal(await ask('a.test', foreign), 'CLIENT_CERTIFICATE_REFUSED');
  });

  it('asks nobody where it is off, and shows plugins nothing', async () => {
    await publish(apiFor('a.test', '/', policy({ mode: 'off' })));
    const client = await openSecure(gateway.tlsPort, { servername: 'a.test', ...shownBy(alice) });

    const answer = await client.ask('a.test');
    client.close();

    assert.deepEqual([codeOf(answer), seen], ['ok', [undefined]]);
  });

  it('tells plugins who it was', async () => {
    await publish(apiFor('a.test', '/', policy()));

    await ask('a.test', alice);

    const [one] = seen;
    assert.deepEqual(
      [one?.subject, one?.issuer, one?.subjectAltNames],
      ['CN=alice', 'CN=Clients Intermediate', ['DNS:alice.test']],
    );
    assert.match(one?.fingerprint256 ?? '', /^([0-9A-F]{2}:){31}/);
    assert.match(`${one?.serial} ${one?.notAfter}`, /^[0-9A-F]+ \d{4}-/);
  });

  it('tells the upstream only where the api says so, and never what a client says', async () => {
    await publish(
      apiFor('a.test', '/', policy({ forward: true })),
      apiFor('b.test', '/', policy({ mode: 'optional' })),
    );
    const lies = {
      'Client-Cert': ':bGllcw==:',
      client_cert: ':bGllcw==:',
      'Client-Cert-Chain': ':bGllcw==:',
      'X-Client-Cert-Subject': 'CN=root',
      X_Client_Cert_Fingerprint: '00',
      'X-Client-Cert-Verified': 'yes',
    };
    const linesFor = async (host: string, shown?: TestCertificate): Promise<string[]> => {
      const client = await openSecure(gateway.tlsPort, { servername: host, ...(shown && shownBy(shown)) });
      await client.ask(host, '/', lies);
      client.close();
      const raw = origin.seen.at(-1)?.rawHeaders ?? [];
      return raw.filter((_, at) => at % 2 === 0).filter((name) => /client.cert/i.test(name));
    };

    const told = await linesFor('a.test', alice);
    const request = origin.seen.at(-1);
    const untold = await linesFor('b.test', alice);
    const nobody = await linesFor('b.test');

    assert.deepEqual(told, ['Client-Cert', 'X-Client-Cert-Subject', 'X-Client-Cert-Fingerprint']);
    assert.deepEqual([untold, nobody], [[], []]);
    const der = alice.certificate.replace(/-----[A-Z ]+-----|\n/g, '');
    assert.deepEqual(headerOf(request, 'client-cert'), [`:${der}:`]);
    assert.deepEqual(headerOf(request, 'x-client-cert-subject'), ['CN=alice']);
    assert.match(headerOf(request, 'x-client-cert-fingerprint')[0] ?? '', /^[0-9a-f]{64}$/);
  });

  it('judges by the authorities of each api on a host that has several', async () => {
    await publish(
      apiFor('a.test', '/ours', policy()),
      apiFor('a.test', '/theirs', policy({ ca: foreignRoot.certificate })),
      apiFor('a.test', '/open'),
    );
    const client = await openSecure(gateway.tlsPort, { servername: 'a.test', ...shownBy(alice) });

    const answers = [];
    for (const path of ['/ours', '/theirs', '/open', '/ours']) answers.push(codeOf(await client.ask('a.test', path)));
    client.close();

    assert.deepEqual(answers, ['ok', 'CLIENT_CERTIFICATE_REFUSED', 'ok', 'ok']);
    assert.equal(await ask('a.test', foreign, '/theirs'), 'ok');
    assert.equal(await ask('a.test', forged, '/ours'), 'CLIENT_CERTIFICATE_REFUSED');
  });

  it('refuses requests for a host whose clients are asked for other certificates than this connection was', async () => {
    await publish(apiFor('a.test', '/', policy()), apiFor('b.test', '/'), apiFor('c.test', '/', policy()));
    const open = await openSecure(gateway.tlsPort, { servername: 'b.test' });

    const [fine, misdirected] = [await open.ask('b.test'), await open.ask('a.test')];

    assert.deepEqual([codeOf(fine), misdirected.status, codeOf(misdirected)], ['ok', 421, 'MISDIRECTED_REQUEST']);
    assert.match(misdirected.head, /^connection: close$/im);
    // By the names that attacks use: another name, none at all, a mixed case, a name of nothing.
    for (const servername of ['b.test', '', 'B.Test', 'unknown.test']) {
      assert.equal(await ask('a.test', alice, '/', servername), 'MISDIRECTED_REQUEST', servername);
    }
    assert.equal(await ask('a.test', alice, '/', 'A.TEST.'), 'ok');
    // The same is asked there, and what needs nothing may be had by any name.
    assert.equal(await ask('a.test', alice, '/', 'c.test'), 'ok');
    assert.equal(await ask('b.test', alice, '/', 'a.test'), 'ok');
  });

  it('refuses the one misdirected stream of a connection that carries many', async () => {
    await publish(apiFor('a.test', '/', policy()), apiFor('b.test', '/'));
    const session = connectHttp2(`https://127.0.0.1:${gateway.tlsPort}`, {
      servername: 'b.test',
      rejectUnauthorized: false,
    });
    const askFor = async (host: string): Promise<number> => {
      const stream = session.request({ ':path': '/', ':authority': host });
      const [fields] = await once(stream, 'response');
      stream.resume();
      return fields[':status'];
    };

    const statuses = [await askFor('b.test'), await askFor('a.test'), await askFor('b.test')];
    session.destroy();

    assert.deepEqual(statuses, [200, 421, 200]);
  });

  it('holds for wildcard hosts and for apis without a host, also when no name was asked for', async () => {
    await publish(apiFor('*.w.test', '/', policy()), apiFor(undefined, '/all', policy()));

    assert.equal(await ask('x.w.test', alice), 'ok');
    assert.equal(await ask('x.w.test'), 'CLIENT_CERTIFICATE_REFUSED');
    assert.equal(await ask('a.test', alice, '/all'), 'ok');
    assert.equal(await ask('127.0.0.1', alice, '/all', ''), 'ok');
    assert.equal(await ask('127.0.0.1', undefined, '/all', ''), 'CLIENT_CERTIFICATE_REFUSED');
  });

  it('wants a new connection when what is asked has changed under the open one', async () => {
    await publish(apiFor('a.test', '/'));
    const api = apiFor('a.test', '/', policy());
    const open = await openSecure(gateway.tlsPort, { servername: 'a.test', ...shownBy(alice) });
    assert.equal(codeOf(await open.ask('a.test')), 'ok');

    await gateway.apply([
      {
        kind: 'api',
        id: api.id,
        after: { ...api, name: 'other', routes: [makeRoute({ hosts: ['a.test'], paths: ['/new'] })] },
      },
    ]);
    const stale = await open.ask('a.test', '/new');

    assert.equal(codeOf(stale), 'MISDIRECTED_REQUEST');
    assert.equal(await ask('a.test', alice, '/new'), 'ok');
  });

  it('refuses a certificate that expires under an open connection', async () => {
    await publish(apiFor('a.test', '/', policy()));
    const client = await openSecure(gateway.tlsPort, { servername: 'a.test', ...shownBy(soon) });
    const first = await client.ask('a.test');

    nowMs = () => Date.now() + 2 * 86_400_000;
    const second = await client.ask('a.test');
    client.close();

    assert.deepEqual([codeOf(first), codeOf(second)], ['ok', 'CLIENT_CERTIFICATE_REFUSED']);
  });

  it('gives no tickets where it asks: every connection proves itself anew', async () => {
    await publish(apiFor('a.test', '/', policy()));
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const first = await openSecure(gateway.tlsPort, { servername: 'a.test', maxVersion, ...shownBy(alice) });
      await first.ask('a.test');
      const session = first.socket.getSession();
      const second = await openSecure(gateway.tlsPort, {
        servername: 'a.test',
        maxVersion,
        ...(session && { session }),
      });
      const isReused = second.socket.isSessionReused();
      const answer = await second.ask('a.test');
      first.close();
      second.close();

      assert.deepEqual([isReused, codeOf(answer)], [false, 'CLIENT_CERTIFICATE_REFUSED'], maxVersion);
    }
  });

  it('lets nobody around it by the port in clear', async () => {
    await publish(apiFor('a.test', '/', policy()), apiFor('b.test', '/', policy({ mode: 'optional' })));
    const askPlain = async (host: string): Promise<number> => {
      const { request } = await import('node:http');
      return new Promise((resolve, reject) => {
        const call = request({ port: gateway.port, host: '127.0.0.1', headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        call.on('error', reject);
        call.end();
      });
    };

    assert.deepEqual([await askPlain('a.test'), await askPlain('b.test')], [403, 200]);
  });
});
