// Client certificates over real handshakes: who is asked, who passes, what plugins and upstreams learn.
// Must not use a connection for what it was not opened for: misdirected.test.ts does.
import assert from 'node:assert/strict';
import type { TestCertificate } from '../../../support/wire/certificates.ts';
import { headerOf } from '../../../support/wire/origin.ts';
import { openSecure } from '../../../support/wire/secure-gateway.ts';
import {
  type AskingStage,
  alice,
  codeOf,
  expired,
  foreign,
  foreignRoot,
  forged,
  inter,
  misused,
  openAskingStage,
  policy,
  root,
  selfSigned,
  shownBy,
  soon,
  underLeaf,
} from './client-certificates.ts';

describe('client certificates', () => {
  let stage: AskingStage;

  beforeEach(async () => {
    stage = await openAskingStage();
  });

  afterEach(() => stage.close());

  it('lets through whom an authority of the api vouches for, and nobody else', async () => {
    await stage.publish(stage.apiFor('a.test', '/', policy()));
    const before = stage.origin.seen.length;
    const refused = 'CLIENT_CERTIFICATE_REFUSED';

    assert.equal(await stage.ask('a.test', alice), 'ok');
    assert.equal(await stage.ask('a.test'), refused);
    for (const one of [foreign, forged, expired, misused, selfSigned, underLeaf]) {
      assert.equal(await stage.ask('a.test', one), refused, one.name);
    }
    assert.equal(stage.origin.seen.length, before + 1);
  });

  it('needs the issuers between: a client that leaves them out is refused unless the api knows them', async () => {
    await stage.publish(
      stage.apiFor('a.test', '/', policy()),
      stage.apiFor('b.test', '/', policy({ ca: root.certificate + inter.certificate })),
    );
    const lone = { ...alice, chain: alice.certificate };

    assert.equal(await stage.ask('a.test', lone), 'CLIENT_CERTIFICATE_REFUSED');
    assert.equal(await stage.ask('b.test', lone), 'ok');
  });

  it('lets clients without a certificate through where it is optional, but none with a bad one', async () => {
    await stage.publish(stage.apiFor('a.test', '/', policy({ mode: 'optional' })));

    assert.deepEqual([await stage.ask('a.test'), stage.seen.at(-1)], ['ok', undefined]);
    assert.deepEqual([await stage.ask('a.test', alice), stage.seen.at(-1)?.subject], ['ok', 'CN=alice']);
    assert.equal(await stage.ask('a.test', foreign), 'CLIENT_CERTIFICATE_REFUSED');
  });

  it('asks nobody where it is off, and shows plugins nothing', async () => {
    await stage.publish(stage.apiFor('a.test', '/', policy({ mode: 'off' })));
    const client = await openSecure(stage.gateway.tlsPort, { servername: 'a.test', ...shownBy(alice) });

    const answer = await client.ask('a.test');
    client.close();

    assert.deepEqual([codeOf(answer), stage.seen], ['ok', [undefined]]);
  });

  it('tells plugins who it was', async () => {
    await stage.publish(stage.apiFor('a.test', '/', policy()));

    await stage.ask('a.test', alice);

    const [one] = stage.seen;
    assert.deepEqual(
      [one?.subject, one?.issuer, one?.subjectAltNames],
      ['CN=alice', 'CN=Clients Intermediate', ['DNS:alice.test']],
    );
    assert.match(one?.fingerprint256 ?? '', /^([0-9A-F]{2}:){31}/);
    assert.match(`${one?.serial} ${one?.notAfter}`, /^[0-9A-F]+ \d{4}-/);
  });

  it('tells the upstream only where the api says so, and never what a client says', async () => {
    await stage.publish(
      stage.apiFor('a.test', '/', policy({ forward: true })),
      stage.apiFor('b.test', '/', policy({ mode: 'optional' })),
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
      const client = await openSecure(stage.gateway.tlsPort, { servername: host, ...(shown && shownBy(shown)) });
      await client.ask(host, '/', lies);
      client.close();
      const raw = stage.origin.seen.at(-1)?.rawHeaders ?? [];
      return raw.filter((_, at) => at % 2 === 0).filter((name) => /client.cert/i.test(name));
    };

    const told = await linesFor('a.test', alice);
    const request = stage.origin.seen.at(-1);
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
    await stage.publish(
      stage.apiFor('a.test', '/ours', policy()),
      stage.apiFor('a.test', '/theirs', policy({ ca: foreignRoot.certificate })),
      stage.apiFor('a.test', '/open'),
    );
    const client = await openSecure(stage.gateway.tlsPort, { servername: 'a.test', ...shownBy(alice) });

    const answers = [];
    for (const path of ['/ours', '/theirs', '/open', '/ours']) answers.push(codeOf(await client.ask('a.test', path)));
    client.close();

    assert.deepEqual(answers, ['ok', 'CLIENT_CERTIFICATE_REFUSED', 'ok', 'ok']);
    assert.equal(await stage.ask('a.test', foreign, '/theirs'), 'ok');
    assert.equal(await stage.ask('a.test', forged, '/ours'), 'CLIENT_CERTIFICATE_REFUSED');
  });

  it('holds for wildcard hosts and for apis without a host, also when no name was asked for', async () => {
    await stage.publish(stage.apiFor('*.w.test', '/', policy()), stage.apiFor(undefined, '/all', policy()));

    assert.equal(await stage.ask('x.w.test', alice), 'ok');
    assert.equal(await stage.ask('x.w.test'), 'CLIENT_CERTIFICATE_REFUSED');
    assert.equal(await stage.ask('a.test', alice, '/all'), 'ok');
    assert.equal(await stage.ask('127.0.0.1', alice, '/all', ''), 'ok');
    assert.equal(await stage.ask('127.0.0.1', undefined, '/all', ''), 'CLIENT_CERTIFICATE_REFUSED');
  });

  it('refuses a certificate that expires under an open connection', async () => {
    await stage.publish(stage.apiFor('a.test', '/', policy()));
    const client = await openSecure(stage.gateway.tlsPort, { servername: 'a.test', ...shownBy(soon) });
    const first = await client.ask('a.test');

    stage.aheadMs = 2 * 86_400_000;
    const second = await client.ask('a.test');
    client.close();

    assert.deepEqual([codeOf(first), codeOf(second)], ['ok', 'CLIENT_CERTIFICATE_REFUSED']);
  });
});
