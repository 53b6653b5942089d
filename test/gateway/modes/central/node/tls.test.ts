// TLS in a node of real processes: keys open only in workers, tickets good at all of them, certificates from the disk copy.
// Must not know how a node does it.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '../../../../../gateway/core/model.ts';
import { sealSecret } from '../../../../../gateway/sources/secrets.ts';
import { makeCertificateEntity } from '../../../../support/entities.ts';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, publish, write } from '../../../../support/product/publish.ts';
import { makeCertificate } from '../../../../support/wire/certificates.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';
import { openSecure } from '../../../../support/wire/secure-gateway.ts';

const KEY = Buffer.alloc(32, 5);
const ENVIRONMENT = { SALLYPORT_PROXY_TLS_LISTEN: '127.0.0.1:0', SALLYPORT_SECRET_KEY: KEY.toString('hex') };
const CONNECTIONS = 20;

function sealed(name: string, key: Uint8Array = KEY): Certificate {
  const made = makeCertificate({ name, hosts: ['a.test'] });
  const privateKey = sealSecret(key, made.privateKey);
  return makeCertificateEntity({ name, hosts: ['a.test'], certificate: made.chain, privateKey });
}

function tlsPort({ printed }: RunningProduct): number {
  const url = printed.join('\n').match(/https:\/\/[^\s,]+/)?.[0];
  assert.ok(url, printed.join('\n'));
  return Number(new URL(url).port);
}

describe('node with TLS', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let dataDir: string;
  let origin: Origin;
  let node: RunningProduct | undefined;

  beforeEach(async () => {
    database = await createDatabase();
    dataDir = await mkdtemp(join(tmpdir(), 'sallyport-node-'));
    origin = await startOrigin();
  });

  afterEach(async () => {
    await node?.stop();
    node = undefined;
    await origin.close();
    await database.drop();
    await rm(dataDir, { recursive: true, force: true });
  });

  async function ask(port: number): Promise<readonly [number, string]> {
    const client = await openSecure(port, { servername: 'a.test' });
    const { status } = await client.ask('a.test', '/api');
    const name = String(client.socket.getPeerCertificate().subject.CN);
    client.close();
    return [status, name];
  }

  it('resumes a session at whichever worker takes the connection', async () => {
    await publish(database.url, [
      write('certificate', sealed('one')),
      write('api', makeApi('api', { upstream: origin.url })),
    ]);
    node = await startNode(database.url, { dataDir, environment: ENVIRONMENT });
    const port = tlsPort(node);
    const first = await openSecure(port, { servername: 'a.test' });
    await first.ask('a.test');
    const session = await first.session;

    const clients = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => openSecure(port, { servername: 'a.test', session })),
    );
    const reused = clients.filter(({ socket }) => socket.isSessionReused());
    // In TLS 1.3 the client is done before the gateway is; an answer says that both are.
    await Promise.all(clients.map((client) => client.ask('a.test')));
    for (const client of [first, ...clients]) client.close();
    const metrics = await (await fetch(`${node.urls.status}/metrics`)).text();

    assert.equal(reused.length, CONNECTIONS);
    assert.match(metrics, /^sallyport_tls_handshakes_total\{result="ok"\} 21$/m);
    assert.match(metrics, /^sallyport_certificate_not_after_seconds\{certificate="one"\} \d{10}$/m);
  });

  it('keeps keys sealed on disk, and serves from there while the database is away', async () => {
    const revision = await publish(database.url, [
      write('certificate', sealed('kept')),
      write('api', makeApi('api', { upstream: origin.url })),
    ]);
    node = await startNode(database.url, { dataDir, environment: ENVIRONMENT });
    const live = await ask(tlsPort(node));
    await node.stop();
    const copy = await readFile(join(dataDir, 'node', 'last-good'), 'utf8');
    const nowhere = 'postgres://127.0.0.1:1/none';

    node = await startNode(nowhere, { dataDir, environment: ENVIRONMENT });
    const fromDisk = await ask(tlsPort(node));

    assert.deepEqual(
      [live, fromDisk],
      [
        [200, 'kept'],
        [200, 'kept'],
      ],
    );
    assert.ok(revision > 0 && copy.includes('"privateKey":"v1.') && !copy.includes('PRIVATE KEY'));
  });

  it('refuses a certificate whose key it cannot open, says which, and goes on with the one before', async () => {
    const before = sealed('before');
    await publish(database.url, [write('certificate', before), write('api', makeApi('api', { upstream: origin.url }))]);
    node = await startNode(database.url, { dataDir, environment: ENVIRONMENT });

    await publish(database.url, [write('certificate', { ...sealed('after', Buffer.alloc(32, 6)), id: before.id })]);
    const line = await node.waitForLog(({ message }) => String(message).startsWith('revision refused'));

    assert.match(JSON.stringify(line), new RegExp(`/certificates/${before.id}/privateKey`));
    assert.deepEqual(await ask(tlsPort(node)), [200, 'before']);
    assert.ok(!JSON.stringify(node.log).includes('PRIVATE KEY'));
  });
});
