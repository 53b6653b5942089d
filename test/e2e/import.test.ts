// A gateway that took over a Kong: its file imported and applied to the running product, and the requests of its callers.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../support/product/command.ts';
import { type RunningProduct, startProduct } from '../support/product/gateway.ts';
import { headerOf, type Origin, startOrigin } from '../support/wire/origin.ts';

const EXAMPLE = fileURLToPath(new URL('../../../examples/import/kong.yml', import.meta.url));
/** Ports in the example, each of an upstream of its own. */
const PORTS = [9000, 9001, 9002, 9003];

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

describe('a Kong that was imported', function () {
  this.timeout(120_000);
  let folder: string;
  let origins: readonly Origin[];
  let product: RunningProduct;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-kong-'));
    origins = await Promise.all(PORTS.map(() => startOrigin()));
    product = await startProduct();
    let text = await readFile(EXAMPLE, 'utf8');
    for (const [index, port] of PORTS.entries()) {
      text = text.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${origins[index]?.port}`);
    }
    const [source, result] = [join(folder, 'kong.yml'), join(folder, 'sallyport.yaml')];
    await writeFile(source, text);
    const environment = { SALLYPORT_ADMIN_URL: product.urls.admin, SALLYPORT_DATA_DIR: product.dataDir };
    for (const words of [
      ['import', 'kong', source, '--output', result],
      ['apply', result, '--wait'],
    ]) {
      const { code, complained } = await runCommand(words, folder, environment);
      assert.equal(code, 0, complained);
    }
  });

  after(async () => {
    await product?.stop();
    await Promise.all((origins ?? []).map((origin) => origin.close()));
    await rm(folder, { recursive: true });
  });

  /** `fetch` cannot choose its Host. */
  function call(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const sent = request(new URL(path, product.urls.proxy), { method, headers, agent: false }, (response) => {
        response.resume();
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
      });
      sent.on('error', reject);
      sent.end();
    });
  }

  function lastSeen(index: number): Origin['seen'][number] | undefined {
    return origins[index]?.seen.at(-1);
  }

  it('routes by path and expression to all targets, for callers with a key, and takes the key off', async () => {
    const [first, second] = [
      await call('/orders', { 'x-api-key': 'bob-opens-the-gate' }),
      await call('/orders/7', { 'x-api-key': 'bob-opens-the-gate' }),
    ];

    assert.deepEqual([first.status, second.status], [200, 200]);
    assert.ok(first.headers['x-correlation-id']);
    const seen = [...(origins[0]?.seen ?? []), ...(origins[1]?.seen ?? [])].filter(
      ({ target }) => target !== '/healthz',
    );
    assert.deepEqual(seen.map(({ target }) => target).sort(), ['/orders', '/orders/7']);
    assert.deepEqual(headerOf(seen[0], 'x-api-key'), []);
    assert.deepEqual(headerOf(seen[0], 'x-consumer-username'), ['bob']);
  });

  it('lets nobody in without a key, with a wrong one, or with a key in the query', async () => {
    const statuses = [
      await call('/orders'),
      await call('/orders', { 'x-api-key': 'wrong-wrong-wrong' }),
      await call('/orders?x-api-key=bob-opens-the-gate'),
      await call('/orders', { apikey: 'bob-opens-the-gate' }),
    ].map(({ status }) => status);

    assert.deepEqual(statuses, [401, 401, 401, 401]);
  });

  it('limits each consumer, and whom a consumer of his own limit by that', async () => {
    const statusesOf = async (key: string): Promise<number[]> => {
      const answers: Answer[] = [];
      for (let count = 0; count < 5; count++) answers.push(await call('/orders', { 'x-api-key': key }));
      return answers.map(({ status }) => status);
    };

    assert.deepEqual(await statusesOf('alice-opens-the-gate'), [200, 200, 200, 429, 429]);
    assert.deepEqual(await statusesOf('bob-opens-the-gate'), [200, 200, 200, 200, 200]);
  });

  it('routes by host, asks for a password, takes the prefix off, and keeps the host', async () => {
    const host = 'reports.example.com';
    const authorization = `Basic ${Buffer.from('bob:correct horse battery').toString('base64')}`;

    const elsewhere = await call('/v1/sales', { authorization });
    const without = await call('/v1/sales', { host });
    const { status } = await call('/v1/sales?year=1', { host, authorization });

    assert.deepEqual([elsewhere.status, without.status, status], [404, 401, 200]);
    assert.equal(lastSeen(2)?.target, '/internal/sales?year=1');
    assert.deepEqual(headerOf(lastSeen(2), 'host'), [host]);
    assert.deepEqual(headerOf(lastSeen(2), 'authorization'), []);
  });

  it('answers pages of the listed origin, and adds its header', async () => {
    const { status, headers } = await call('/catalogue/lamps', { origin: 'https://shop.example.com' });
    const foreign = await call('/catalogue/lamps', { origin: 'https://evil.example.com' });

    assert.equal(status, 200);
    assert.equal(headers['access-control-allow-origin'], 'https://shop.example.com');
    assert.equal(headers['access-control-allow-credentials'], 'true');
    assert.equal(foreign.headers['access-control-allow-origin'], undefined);
    assert.equal(lastSeen(3)?.target, '/lamps');
    assert.deepEqual(headerOf(lastSeen(3), 'x-source'), ['kong']);
  });

  it('guards with tokens what a route guards, and every path that it has as its prefix in Kong', async () => {
    const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const sign = (claims: unknown): string => {
      const input = `${part({ alg: 'HS256' })}.${part(claims)}`;
      return `${input}.${createHmac('sha256', 'a-secret-of-at-least-thirty-two-bytes').update(input).digest('base64url')}`;
    };
    const now = Math.floor(Date.now() / 1_000);
    const good = { authorization: `Bearer ${sign({ iss: 'robot-issuer', exp: now + 60 })}` };
    const old = { authorization: `Bearer ${sign({ iss: 'robot-issuer', exp: now - 60 })}` };

    const statuses = [
      await call('/catalogue/admin', good),
      await call('/catalogue/admin', old),
      await call('/catalogue/admin'),
      await call('/catalogue/administrators'),
      await call('/catalogue/administrators', good),
    ].map(({ status }) => status);

    assert.deepEqual(statuses, [200, 401, 401, 401, 200]);
    assert.equal(lastSeen(3)?.target, '/catalogue/administrators');
  });

  it('answers 404 where Kong had no route', async () => {
    assert.equal((await call('/nothing')).status, 404);
  });
});
