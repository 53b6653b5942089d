// Certificates over REST: what is refused and where, what is shown, that the key never comes back.
import assert from 'node:assert/strict';
import { makeAuthority, makeCertificate, type TestCertificate } from '../support/wire/certificates.ts';
import { startTestAdmin, type TestAdmin } from './support.ts';

const root = makeAuthority('Root');
const inter = makeAuthority('Intermediate', { issuer: root });
const bodyOf = (one: TestCertificate): { certificate: string; privateKey: string } => ({
  certificate: one.chain,
  privateKey: one.privateKey,
});

describe('admin certificates', () => {
  let admin: TestAdmin;
  const PATH = '/v1/certificates';

  before(async () => {
    admin = await startTestAdmin();
  });

  after(async () => {
    await admin.close();
  });

  it('shows what is worth knowing, takes the hosts from the certificate, and never tells the key', async () => {
    const leaf = makeCertificate({ name: 'shop', hosts: ['Shop.example', '*.shop.example'], issuer: inter });
    const made = await admin.expect(201, 'PUT', `${PATH}/shop`, { body: bodyOf(leaf) });

    const shown = await admin.expect(200, 'GET', `${PATH}/shop`);
    const everywhere = await Promise.all(
      ['/v1/audit', '/v1/revisions/1/diff', '/v1/config', PATH].map((path) => admin.call('GET', path)),
    );

    const { subject, issuer, hosts, notAfter, fingerprint256, certificate, warning } = shown.body;
    assert.deepEqual([subject, issuer], ['CN=shop', 'CN=Intermediate']);
    assert.deepEqual(hosts, ['shop.example', '*.shop.example']);
    assert.match(String(notAfter), /^\d{4}-\d\d-\d\dT/);
    assert.match(String(fingerprint256), /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    assert.equal(certificate, leaf.certificate + inter.certificate);
    assert.equal(warning, undefined);
    const secret = leaf.privateKey.split('\n')[2] ?? 'none';
    for (const { text } of [made, shown, ...everywhere]) {
      assert.ok(!text.includes(secret) && !text.includes('PRIVATE KEY'), text);
      assert.ok(!/"privateKey":"(?!\[hidden\])/.test(text), text);
    }
  });

  it('warns of a certificate that ends within 30 days', async () => {
    const leaf = makeCertificate({ name: 'soon', hosts: ['soon.example'], toDays: 12.5 });

    const made = await admin.expect(201, 'PUT', `${PATH}/soon`, { body: bodyOf(leaf) });

    assert.match(String(made.body['warning']), /^expires on .*, in 12 days$/);
  });

  it('refuses what would not work, and says where', async () => {
    const good = makeCertificate({ name: 'good', hosts: ['good.example'], issuer: inter });
    const other = makeCertificate({ name: 'other', hosts: ['other.example'] });
    const expired = makeCertificate({ name: 'expired', hosts: ['expired.example'], fromDays: -9, toDays: -1 });
    const weak = makeCertificate({ name: 'weak', hosts: ['weak.example'], key: 'rsa1024' });
    const odd = makeCertificate({ name: 'odd', hosts: ['odd.example'], key: 'secp256k1' });
    const key = good.privateKey;
    const cases: readonly (readonly [string, object, string])[] = [
      ['no PEM', { certificate: 'garbage', privateKey: key }, '/certificate'],
      ['half a block', { certificate: good.certificate.slice(0, 200), privateKey: key }, '/certificate'],
      [
        'bytes that are no certificate',
        { certificate: good.certificate.replace(/MII/, 'AAA'), privateKey: key },
        '/certificate',
      ],
      ['a key beside the chain', { certificate: good.chain + key, privateKey: key }, '/certificate'],
      ['the issuer first', { certificate: inter.certificate + good.certificate, privateKey: key }, '/certificate'],
      ['an issuer left out', { certificate: good.certificate + root.certificate, privateKey: key }, '/certificate'],
      ['an end that has come', bodyOf(expired), '/certificate'],
      ['an RSA key of 1024 bits', bodyOf(weak), '/certificate'],
      ['a curve that clients lack', bodyOf(odd), '/certificate'],
      ['the key of another', { certificate: good.chain, privateKey: other.privateKey }, '/privateKey'],
      ['no key', { certificate: good.chain }, '/privateKey'],
      ['a key that is none', { certificate: good.chain, privateKey: 'garbage' }, '/privateKey'],
      ['two keys', { ...bodyOf(good), sealedPrivateKey: 'v1.a.b.c' }, '/sealedPrivateKey'],
      ['a key sealed elsewhere', { certificate: good.chain, sealedPrivateKey: 'v1.a.b.c' }, '/sealedPrivateKey'],
      ['a host that is not in it', { ...bodyOf(good), hosts: ['good.example', 'bad.example'] }, '/hosts/1'],
      ['a wildcard wider than its own', { ...bodyOf(good), hosts: ['*.example'] }, '/hosts/0'],
      ['a host that is none', { ...bodyOf(good), hosts: ['a b'] }, '/hosts/0'],
    ];

    for (const [what, body, pointer] of cases) {
      const reply = await admin.call('PUT', `${PATH}/refused`, { body });
      const [problem] = (reply.body['problems'] ?? []) as { pointer: string }[];
      assert.deepEqual([reply.status, problem?.pointer], [422, pointer], what);
    }
  });

  it('accepts every kind of key that clients speak', async () => {
    for (const key of ['p256', 'p384', 'ed25519', 'rsa2048'] as const) {
      const leaf = makeCertificate({ name: key, hosts: [`${key}.example`], key });

      await admin.expect(201, 'PUT', `${PATH}/kind-${key}`, { body: bodyOf(leaf) });
    }
  });

  it('lets one certificate have a host', async () => {
    const one = makeCertificate({ name: 'one', hosts: ['shared.example'] });
    const two = makeCertificate({ name: 'two', hosts: ['shared.example', 'own.example'] });
    await admin.expect(201, 'PUT', `${PATH}/one`, { body: bodyOf(one) });

    const refused = await admin.expect(409, 'PUT', `${PATH}/two`, { body: bodyOf(two) });
    await admin.expect(201, 'PUT', `${PATH}/two`, { body: { ...bodyOf(two), hosts: ['own.example'] } });

    assert.match(refused.text, /"pointer":"\/hosts\/0"/);
  });

  it('takes back what it gave, and replaces a certificate whose hosts were its own', async () => {
    const first = makeCertificate({ name: 'first', hosts: ['a.renew.example'] });
    const second = makeCertificate({ name: 'second', hosts: ['a.renew.example', 'b.renew.example'] });
    const made = await admin.expect(201, 'PUT', `${PATH}/renew`, { body: bodyOf(first) });

    const again = await admin.expect(200, 'PUT', `${PATH}/renew`, { body: made.body });
    const same = await admin.expect(200, 'PUT', `${PATH}/renew`, { body: bodyOf(first) });
    const keyless = await admin.call('PATCH', `${PATH}/renew`, { body: { certificate: second.chain } });
    const renewed = await admin.expect(200, 'PATCH', `${PATH}/renew`, { body: bodyOf(second) });

    const revisions = [made, again, same].map((reply) => reply.headers.get('sallyport-revision'));
    assert.equal(new Set(revisions).size, 1);
    assert.equal(keyless.status, 422);
    assert.deepEqual(renewed.body['hosts'], ['a.renew.example', 'b.renew.example']);
  });

  it('moves in an export with its key sealed, and an editor sees no more than that', async () => {
    const leaf = makeCertificate({ name: 'moved', hosts: ['moved.example'] });
    await admin.expect(201, 'PUT', `${PATH}/moved`, { body: bodyOf(leaf) });
    const before = await admin.expect(200, 'GET', '/v1/config');
    const token = await admin.expect(201, 'POST', '/v1/tokens', { body: { name: 'reader', role: 'viewer' } });

    await admin.expect(204, 'DELETE', `${PATH}/moved`);
    await admin.expect(200, 'PUT', '/v1/config', { body: before.body });
    const after = await admin.expect(200, 'GET', '/v1/config');
    const viewed = await admin.expect(200, 'GET', '/v1/config', { token: String(token.body['token']) });

    assert.deepEqual(after.body, before.body);
    assert.match(before.text, /"sealedPrivateKey":"v1\./);
    assert.ok(!viewed.text.includes('rivateKey'));
  });

  it('is shown to targets by name: a rename is followed, a removal refused', async () => {
    const client = makeCertificate({ name: 'gateway', issuer: root, usage: 'client' });
    await admin.expect(201, 'PUT', `${PATH}/gateway`, { body: bodyOf(client) });
    const tls = { clientCertificate: { name: 'gateway' }, ca: root.certificate };
    await admin.expect(201, 'PUT', '/v1/upstreams/inner', { body: { protocol: 'https', tls } });

    await admin.expect(200, 'PATCH', `${PATH}/gateway`, { body: { name: 'renamed' } });
    const upstream = await admin.expect(200, 'GET', '/v1/upstreams/inner');
    const refused = await admin.expect(409, 'DELETE', `${PATH}/renamed`);
    const unknown = await admin.expect(422, 'PATCH', '/v1/upstreams/inner', {
      body: { tls: { clientCertificate: { name: 'nobody' } } },
    });

    assert.deepEqual(upstream.body['tls'], { verify: true, ...tls, clientCertificate: { name: 'renamed' } });
    assert.match(refused.text, /IN_USE.*inner/);
    assert.match(unknown.text, /\/tls\/clientCertificate\/name/);
  });

  it('keeps what an api wants to know of its clients, and takes it back with null', async () => {
    const body = { upstream: 'http://127.0.0.1:9', clientCertificate: { ca: root.certificate } };
    const made = await admin.expect(201, 'PUT', '/v1/apis/guarded', { body });

    const shown = await admin.expect(200, 'GET', '/v1/apis/guarded');
    const open = await admin.expect(200, 'PATCH', '/v1/apis/guarded', { body: { clientCertificate: null } });

    const policy = { mode: 'required', ca: root.certificate, forward: false };
    assert.deepEqual([made.body['clientCertificate'], shown.body['clientCertificate']], [policy, policy]);
    assert.equal(open.body['clientCertificate'], undefined);
  });
});
