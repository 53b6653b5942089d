// Facts about `sallyport start`: the whole product as an operator meets it.
// Must not look inside: it is processes, ports, files and printed lines.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type RunningProduct, StartFailure, startProduct } from '../support/product/gateway.ts';
import { type Origin, startOrigin } from '../support/wire/origin.ts';

const MAIN_FILE = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const run = promisify(execFile);

describe('sallyport start', function () {
  this.timeout(120_000);
  let dataDir: string;
  let product: RunningProduct;
  let origin: Origin;
  let token: string;

  before(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'sallyport-start-'));
    origin = await startOrigin();
    product = await startProduct({ dataDir });
    token = (await readFile(join(dataDir, 'admin-token'), 'utf8')).trim();
  });

  after(async () => {
    await product?.stop();
    await origin.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Runs a command that speaks to the running product; gives what it printed. */
  const call = async (...words: readonly string[]): Promise<string> => {
    const environment = {
      PATH: process.env['PATH'],
      SALLYPORT_ADMIN_URL: product.urls.admin,
      SALLYPORT_DATA_DIR: dataDir,
    };
    return (await run(process.execPath, [MAIN_FILE, ...words], { env: environment })).stdout;
  };

  it('shows where everything is and, at the first start, the admin token', () => {
    const text = product.printed.join('\n');

    for (const url of [product.urls.proxy, product.urls.admin, product.urls.status, dataDir]) {
      assert.ok(text.includes(url), url);
    }
    assert.equal(text.split(token).length, 2, 'the token once');
  });

  it('keeps the token for its owner alone', async () => {
    assert.equal((await stat(join(dataDir, 'admin-token'))).mode & 0o777, 0o600);
  });

  it('publishes an api that is registered over REST', async () => {
    const created = await fetch(`${product.urls.admin}/v1/apis?wait=applied`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'orders', upstream: origin.url, routes: [{ paths: ['/orders'] }] }),
    });
    const answer = await fetch(`${product.urls.proxy}/orders`);

    assert.equal(created.status, 201, await created.text());
    assert.equal(answer.status, 200);
  });

  it('exports what it takes back, and shows what a file would change', async () => {
    const file = join(dataDir, 'config.yaml');
    const exported = await call('export');
    await writeFile(file, exported);
    const unchanged = await call('apply', file, '--dry-run');
    await writeFile(file, exported.replace('/orders', '/purchases'));

    const checked = await call('check', file);
    const planned = await call('apply', file, '--dry-run');
    const applied = await call('apply', file, '--wait');

    assert.match(exported, /name: orders/);
    assert.equal(unchanged, 'Nothing to change.\n');
    assert.equal(
      checked,
      `${file} is fine: 1 apis, 0 upstreams, 0 certificates, 0 consumers, 0 credentials, 0 bindings\n`,
    );
    assert.match(
      planned,
      /^~ api orders\n.*\/purchases.*\nWould be 0 created, 1 updated, 0 deleted; nothing was changed\.\n$/s,
    );
    assert.match(applied, /0 created, 1 updated, 0 deleted\.\n$/);
    assert.equal((await fetch(`${product.urls.proxy}/purchases`)).status, 200);
  });

  it('checks an export whose secrets it has sealed itself', async () => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const post = (path: string, body: unknown): Promise<Response> =>
      fetch(`${product.urls.admin}/v1/${path}`, { method: 'POST', headers, body: JSON.stringify(body) });
    await post('consumers', { username: 'sealed' });
    const secret = 'a secret of thirty-two bytes, or more';
    const created = await post('consumers/sealed/credentials', { type: 'jwt', key: 'iss', algorithm: 'HS256', secret });
    const file = join(dataDir, 'sealed.yaml');
    await writeFile(file, await call('export'));

    const checked = await call('check', file);

    assert.equal(created.status, 201, await created.text());
    assert.match(checked, /is fine: .* 1 credentials/);
    await fetch(`${product.urls.admin}/v1/consumers/sealed`, { method: 'DELETE', headers });
  });

  for (const command of ['check', 'apply']) {
    it(`${command} exits with 1 and names the field when a file is wrong`, async () => {
      const file = join(dataDir, 'wrong.json');
      await writeFile(file, JSON.stringify({ apis: [{ name: 'x', upstream: 'http://a', colour: 'red' }] }));

      await assert.rejects(call(command, file), (error: Error & { code: number; stderr: string }) => {
        assert.equal(error.code, 1);
        assert.match(error.stderr, /\/apis\/0\/colour: unknown field/);
        return true;
      });
    });
  }

  it('starts a killed admin service again, and the gateway does not notice', async () => {
    const listening = product.log.find((line) => line['message'] === 'admin listening');

    process.kill(Number(listening?.['pid']), 'SIGKILL');
    const again = await product.waitForLog(
      (line) => line['message'] === 'admin listening' && line['pid'] !== listening?.['pid'],
    );

    assert.ok(again);
    assert.equal((await fetch(`${product.urls.proxy}/purchases`)).status, 200);
    assert.ok(!product.log.some((line) => line['name'] === 'gateway'));
  });

  it('refuses a second start on the same data directory in one line', async () => {
    await assert.rejects(startProduct({ dataDir }), (error: StartFailure) => {
      assert.ok(error instanceof StartFailure);
      assert.equal(error.ending.code, 1);
      assert.match(error.complaints.join('\n'), /^the data directory .* is in use by process \d+; [^\n]*$/);
      return true;
    });
  });

  it('names the process that holds the data directory also where its ports are taken too', async () => {
    const environment = {
      SALLYPORT_PROXY_LISTEN: new URL(product.urls.proxy).host,
      SALLYPORT_ADMIN_LISTEN: new URL(product.urls.admin).host,
    };

    await assert.rejects(startProduct({ dataDir, environment }), (error: StartFailure) => {
      assert.match(error.complaints.join('\n'), new RegExp(`is in use by process ${product.pid}; [^\n]*$`));
      return true;
    });
  });

  it('refuses a port that is taken in one line, before it makes anything', async () => {
    const taker = createServer();
    await new Promise<void>((resolve) => taker.listen(0, '127.0.0.1', resolve));
    const address = `127.0.0.1:${(taker.address() as AddressInfo).port}`;
    const elsewhere = join(dataDir, 'never-made');

    const start = startProduct({ dataDir: elsewhere, environment: { SALLYPORT_ADMIN_LISTEN: address } });

    await assert.rejects(start, (error: StartFailure) => {
      assert.equal(error.ending.code, 1);
      assert.match(
        error.complaints.join('\n'),
        /^127\.0\.0\.1:\d+ is taken by another process; .*SALLYPORT_ADMIN_LISTEN[^\n]*$/,
      );
      return true;
    });
    await assert.rejects(stat(elsewhere));
    await new Promise((resolve) => taker.close(resolve));
  });

  it('ends with 0 on SIGTERM, and a later start has everything and says no token', async () => {
    product.kill('SIGTERM');
    const ending = await product.ended;

    product = await startProduct({ dataDir });

    assert.deepEqual(ending, { code: 0, signal: null });
    assert.ok(!product.printed.join('\n').includes(token));
    assert.equal((await fetch(`${product.urls.proxy}/purchases`)).status, 200);
  });

  it('ends at a second SIGTERM with all that it leads, and with what is under way', async () => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const silent = createServer(() => silent.emit('asked'));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const upstream = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const body = JSON.stringify({ name: 'silent', upstream, routes: [{ paths: ['/silent'] }] });
    await fetch(`${product.urls.admin}/v1/apis?wait=applied`, { method: 'POST', headers, body });
    const asked = once(silent, 'asked');
    const answer = fetch(`${product.urls.proxy}/silent`);
    await asked;

    product.kill('SIGTERM');
    await product.waitForLog((line) => line['message'] === 'draining');
    product.kill('SIGTERM');

    await assert.rejects(answer);
    assert.equal((await product.ended).code, 1);
    await new Promise((resolve) => silent.close(resolve));
    product = await startProduct({ dataDir });
  });

  it('has lost nothing after a kill of every process', async () => {
    const pids = new Set([product.pid, ...product.log.map((line) => Number(line['pid']))]);
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    await product.ended;

    product = await startProduct({ dataDir });

    assert.equal((await fetch(`${product.urls.proxy}/purchases`)).status, 200);
  });

  it('says so when it starts without its database', async () => {
    const environment = { DATABASE_URL: 'postgres://nobody@127.0.0.1:9/none' };
    const alone = await startProduct({ environment });

    const text = alone.printed.join('\n');
    const ready = await fetch(`${alone.urls.status}/readyz`);
    await alone.stop();

    assert.match(text, /is ready .*, without its database: DATABASE_URL does not answer yet/);
    assert.match(text, /admin .*, as soon as the database answers/);
    assert.equal(ready.status, 503);
  });
});
