// Tests what the marketplace cases are made of: traffic over several apis, what nodes say, keys, packages.
// Must not start a Sallyport.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKeys, readPublicKeys } from '../../../gateway/package/keys.ts';
import { openRoot } from '../../../gateway/package/trust.ts';
import type { SallyportInstance } from '../../contenders/sallyport-instance.ts';
import { type ApiTraffic, startApiTraffic } from './api-traffic.ts';
import { PLATFORM, readPlatformKeys, writeMarketplaceKeys } from './keys.ts';
import { awaitState, awaitTrue, countAside } from './nodes.ts';
import { publishVersion } from './shop.ts';

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Makes an instance that answers the admin REST from a table by path, and records what it was asked. */
function fakeInstance(answers: Readonly<Record<string, () => unknown>>): {
  readonly instance: SallyportInstance;
  readonly asked: { readonly path: string; readonly body: unknown }[];
} {
  const asked: { readonly path: string; readonly body: unknown }[] = [];
  const ask = async (_method: string, path: string, body?: unknown): Promise<unknown> => {
    asked.push({ path, body });
    return answers[path]?.();
  };
  return { instance: { ask } as unknown as SallyportInstance, asked };
}

describe('traffic over several apis', () => {
  let server: Server;
  let traffic: ApiTraffic | undefined;
  let seen: { readonly path: string | undefined; readonly mood: unknown }[];

  beforeEach(() => {
    seen = [];
    server = createServer((request, response) => {
      seen.push({ path: request.url, mood: request.headers['x-mood'] });
      if (request.headers['x-mood'] === 'rude') request.socket.destroy();
      else response.writeHead(request.url === '/bad' ? 500 : 200, { 'content-length': 2 }).end('ok');
    });
  });

  afterEach(() => {
    traffic?.stop();
    server.closeAllConnections();
    server.close();
  });

  const whenSeen = (count: number): Promise<number | undefined> => awaitTrue(async () => seen.length >= count, 5_000);

  it('asks one path after the other at its rate, and counts what is not answered 200', async () => {
    traffic = await startApiTraffic({ port: await listen(server), perSecond: 200, paths: ['/good', '/bad'] });

    await whenSeen(41);
    const { requests, failures, lastFault, p99Ms, longestMs } = traffic.take();

    assert.ok(requests >= 40 && Math.abs(failures - requests / 2) <= 1, `${failures} of ${requests}`);
    assert.equal(lastFault, 'answered 500');
    assert.ok(p99Ms > 0 && p99Ms <= longestMs);
  });

  it('counts what breaks off, and goes on with another connection', async () => {
    traffic = await startApiTraffic({ port: await listen(server), perSecond: 200, paths: ['/good'] });

    traffic.setHeaders({ 'x-mood': 'rude' });
    await awaitTrue(async () => seen.filter(({ mood }) => mood === 'rude').length >= 100, 5_000);
    traffic.setHeaders({});
    const rude = seen.length;
    await whenSeen(rude + 100);
    const { failures } = traffic.take();

    assert.ok(failures >= 99, String(failures));
    assert.equal(seen.at(-1)?.mood, undefined);
  });
});

describe('what nodes say', () => {
  const node = (revision: number, running: string | null, workers: readonly number[]): unknown => ({
    isLive: true,
    revision,
    workers: workers.map((one, index) => ({ pid: index + 1, revision: one })),
    plugins: [{ plugin: 'acme/walk', wanted: '2.0.0', running, problem: null }],
  });
  const WANTED = { nodes: 2, workersPerNode: 2, plugin: 'acme/walk', version: '2.0.0' };

  it('is waited for until every worker of every node has come to it', async () => {
    const states = [
      [node(7, '2.0.0', [7, 7])],
      [node(7, '2.0.0', [7, 7]), node(6, '2.0.0', [6, 6])],
      [node(7, '2.0.0', [7, 7]), node(7, '1.0.0', [7, 7])],
      [node(7, '2.0.0', [7, 7]), node(7, '2.0.0', [7])],
      [node(7, '2.0.0', [7, 7]), node(7, '2.0.0', [7, 7])],
    ];
    const { instance, asked } = fakeInstance({
      '/v1/revisions?limit=1': () => ({ data: [{ number: 7 }] }),
      '/v1/nodes': () => ({ data: states.shift() }),
    });

    await awaitState(instance, WANTED);

    assert.equal(asked.filter(({ path }) => path === '/v1/nodes').length, 5);
  });

  it('is counted from the metrics: the workers that have put a plugin aside', async () => {
    const text =
      'sallyport_plugin_aside{plugin="acme/walk",binding="a"} 2\nsallyport_plugin_aside{plugin="acme/other",binding="b"} 1\n' +
      'sallyport_plugin_calls_total{plugin="acme/walk",binding="a"} 9\nsallyport_plugin_aside{plugin="acme/walk",binding="c"} 1\n';
    const server = createServer((_, response) => response.end(text));
    const status = `http://127.0.0.1:${await listen(server)}`;

    const count = await countAside({ urls: { status } } as unknown as SallyportInstance, 'acme/walk');

    assert.equal(count, 3);
    server.closeAllConnections();
    server.close();
  });

  it('is given up when it does not come', async () => {
    assert.equal(await awaitTrue(async () => false, 1), undefined);
  });
});

describe('the marketplace of the harness', () => {
  it('has a root that names the platform and its key', () => {
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-keys-'));
    writeMarketplaceKeys(directory);

    const folder = join(directory, 'data', 'marketplace');
    const pinned = readPublicKeys(readFileSync(join(folder, 'root.pub'), 'utf8'));
    const root = openRoot(JSON.parse(readFileSync(join(folder, 'root.json'), 'utf8')), pinned);

    assert.deepEqual(root.platformNamespaces, [PLATFORM]);
    assert.equal(root.platformKeys[0]?.keyid, readPlatformKeys(directory).keyid);
    rmSync(directory, { recursive: true });
  });

  it('is handed a version, and approves the digest that it got', async () => {
    const { instance, asked } = fakeInstance({});
    const manifest = {
      name: 'acme/walk',
      version: '1.0.0',
      title: 'Walk',
      summary: 'Walks.',
      stage: 'transform',
      hooks: ['onResponse'],
      scopes: ['api'],
      failPolicy: 'open',
      permissions: {},
      engines: { gateway: '^1.0.0' },
    };
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      additionalProperties: false,
    };
    const files = {
      'manifest.json': JSON.stringify(manifest),
      'config.schema.json': JSON.stringify({ ...schema, properties: {}, examples: [{}] }),
      'index.js': 'export const plugin = { onResponse() {} };\n',
    };

    await publishVersion(instance, files, generateKeys());

    const [published, reviewed] = asked;
    assert.equal(published?.path, '/v1/marketplace/plugins');
    assert.equal(reviewed?.path, '/v1/marketplace/plugins/acme/walk/versions/1.0.0/review');
    assert.ok(reviewed);
    const { sha256 } = reviewed.body as { readonly sha256: string };
    assert.match(sha256, /^[0-9a-f]{64}$/);
  });
});
