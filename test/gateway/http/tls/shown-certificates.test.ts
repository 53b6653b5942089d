// Which certificate is shown to whom, over real handshakes: by name, as certificates change, and in resumed sessions.
// Must not test how a handshake goes: handshake.test.ts does.
import assert from 'node:assert/strict';
import { putAll } from '../../../support/entities.ts';
import { makeCertificate } from '../../../support/wire/certificates.ts';
import { openSecure, type SecureGateway, startSecureGateway } from '../../../support/wire/secure-gateway.ts';
import { entityFor, openTlsStage, shownFor, type TlsStage } from './tls-stage.ts';

describe('TLS toward clients', () => {
  let stage: TlsStage;
  let gateway: SecureGateway;

  before(async () => {
    stage = await openTlsStage();
  });

  afterEach(() => gateway.close());
  after(() => stage.origin.close());

  it('shows the certificate of the name: exact before wildcard, in any case, for one label', async () => {
    gateway = await stage.start([
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

    for (const [name = '', expected] of cases) assert.equal(await shownFor(gateway, name), expected, name);
  });

  it('refuses the handshake when there is nothing to show', async () => {
    gateway = await stage.start([]);

    const refused = openSecure(gateway.tlsPort, { servername: 'a.test' });

    await assert.rejects(refused, { code: 'ERR_SSL_TLSV1_UNRECOGNIZED_NAME' });
    assert.equal(gateway.handshakes('no-certificate'), 1);
  });

  it('replaces a certificate under open connections: they go on, new ones see the new', async () => {
    const before = entityFor('before', ['a.test']);
    gateway = await stage.start([before]);
    const open = await openSecure(gateway.tlsPort, { servername: 'a.test' });
    const first = await open.ask('a.test');

    const renewed = { ...entityFor('after', ['a.test']), id: before.id };
    await gateway.apply(putAll({ certificates: [renewed] }));
    const second = await open.ask('a.test');
    const shown = await shownFor(gateway, 'a.test');
    await gateway.apply([{ kind: 'certificate', id: before.id }]);
    const third = await open.ask('a.test');
    open.close();

    assert.deepEqual([first.status, second.status, third.status, shown], [200, 200, 200, 'after']);
    await assert.rejects(openSecure(gateway.tlsPort, { servername: 'a.test' }));
  });

  it('refuses a revision whose certificate does not load, and goes on with the old one', async () => {
    gateway = await stage.start([entityFor('a', ['a.test'])]);
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
    assert.equal(await shownFor(gateway, 'b.test'), 'a');
  });

  it('resumes sessions until the tickets are sealed with other keys, and never over to another certificate', async () => {
    gateway = await stage.start([entityFor('a', ['a.test']), entityFor('b', ['b.test'])]);
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
    gateway = await stage.start(certificates);
    const other = await startSecureGateway();
    await other.apply(putAll({ certificates, apis: [stage.api] }));
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
});
