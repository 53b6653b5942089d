// What file-log writes, and what its file survives.
// Must not look into a line: record.test.ts does.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type ExchangeOptions,
  fakeConsumers,
  fakeExchange,
  fakeHost,
  type RunningPlugin,
  readConfig,
  startPlugin,
  type TestHost,
} from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';
import { MAX_PENDING_BYTES, openLineFile } from './line-file.ts';

const pluginFolder = new URL('.', import.meta.url);

type Line = Readonly<Record<string, unknown>>;

describe('file-log', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'file-log-'));
    path = join(folder, 'access.log');
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  function start(config: Partial<Config> = {}, host: TestHost = fakeHost()): Promise<RunningPlugin> {
    return startPlugin(plugin, { config: readConfig<Config>(pluginFolder, { path, ...config }), host });
  }

  function readLines(file = path): Line[] {
    const lines = readFileSync(file, 'utf8').split('\n');
    assert.equal(lines.pop(), '', 'the file ends with a whole line');
    return lines.map((line) => JSON.parse(line));
  }

  /** Logs one exchange through the hook alone. */
  async function log(options: ExchangeOptions, config: Partial<Config> = {}): Promise<void> {
    const full = readConfig<Config>(pluginFolder, { path, ...config });
    const state = await plugin.setup?.(full, fakeHost());
    assert.ok(state);
    plugin.onLog?.(fakeExchange(options), full, state);
    await plugin.close?.(state);
  }

  it('writes one line per request', async () => {
    const { identityOf } = fakeConsumers({ username: 'alice', credentials: [{ type: 'key-auth', key: 'alice-key' }] });

    await log({
      method: 'POST',
      path: '/orders',
      query: 'page=2',
      headers: { 'user-agent': 'curl/8' },
      identity: identityOf('alice'),
      response: { status: 201 },
      outcome: {
        startedAt: Date.UTC(2026, 1, 3, 4, 5, 6, 78),
        totalMs: 12.3456,
        upstreamMs: 10,
        requestBytes: 3,
        responseBytes: 4,
        target: '10.0.0.1:80',
        tries: 1,
      },
    });

    assert.deepEqual(readLines(), [
      {
        time: '2026-02-03T04:05:06.078Z',
        id: '0123456789abcdef0123456789abcdef',
        clientIp: '192.0.2.1',
        method: 'POST',
        host: 'api.test',
        path: '/orders',
        query: 'page=2',
        userAgent: 'curl/8',
        status: 201,
        source: 'upstream',
        api: 'api',
        route: 'route',
        consumer: 'alice',
        requestBytes: 3,
        responseBytes: 4,
        totalMs: 12.346,
        upstreamMs: 10,
        target: '10.0.0.1:80',
        tries: 1,
        isComplete: true,
      },
    ]);
  });

  it('logs what went through the gateway', async () => {
    const running = await start({ fields: ['method', 'path', 'status', 'source', 'responseBytes'] });
    await running.send({ request: { path: '/orders' }, upstream: { status: 201, body: 'made' } });

    await running.close();

    assert.deepEqual(readLines(), [
      { method: 'GET', path: '/orders', status: 201, source: 'upstream', responseBytes: 4 },
    ]);
  });

  it('writes the fields that it is told, in that order', async () => {
    const running = await start({ fields: ['status', 'method', 'credential'] });
    await running.send();

    await running.close();

    assert.equal(readFileSync(path, 'utf8'), '{"status":200,"method":"GET"}\n');
  });

  it('logs a request that broke off before there was a response', async () => {
    await log(
      { outcome: { isComplete: false, errorCode: 'UPSTREAM_BROKEN' } },
      { fields: ['method', 'status', 'errorCode', 'isComplete'] },
    );

    assert.deepEqual(readLines(), [{ method: 'GET', errorCode: 'UPSTREAM_BROKEN', isComplete: false }]);
  });

  it('lets several writers share a file without breaking a line', async () => {
    const writers = await Promise.all(Array.from({ length: 4 }, () => start({ fields: ['path', 'userAgent'] })));
    const long = 'x'.repeat(1_500);
    for (let index = 0; index < 400; index++) {
      for (const writer of writers)
        await writer.send({ request: { path: `/${index}`, headers: { 'user-agent': long } } });
    }

    await Promise.all(writers.map((writer) => writer.close()));

    assert.equal(readLines().length, 1_600);
  });

  it('writes every character of text that is not ASCII, also where much of it waits', async () => {
    const running = await start({ fields: ['path', 'userAgent'] });
    const text = 'é€😀'.repeat(500);
    for (let index = 0; index < 200; index++)
      await running.send({ request: { path: `/${index}`, headers: [['user-agent', `caf\u00e9 ${index}`]] } });
    await log({ path: '/long', headers: {}, api: { id: 'a', name: text } }, { fields: ['path', 'api'] });

    await running.close();

    const lines = readLines();
    assert.deepEqual(lines[0], { path: '/long', api: text });
    assert.deepEqual(lines.at(-1), { path: '/199', userAgent: 'caf\u00e9 199' });
    assert.equal(lines.length, 201);
  });

  it('writes to a new file after a rotation', async () => {
    const host = fakeHost();
    const running = await start({ fields: ['path'] }, host);
    await running.send({ request: { path: '/before' } });
    await running.close();
    const again = await start({ fields: ['path'] }, host);
    renameSync(path, `${path}.1`);

    host.reopen();
    await again.send({ request: { path: '/after' } });
    await again.close();

    assert.deepEqual(readLines(`${path}.1`), [{ path: '/before' }]);
    assert.deepEqual(readLines(), [{ path: '/after' }]);
  });

  it('opens no file once it is closed', async () => {
    const host = fakeHost();
    const file = await openLineFile({ path, clock: host.clock, log: host.log });
    await file.close();
    rmSync(path);

    file.reopen();
    await file.close();

    assert.equal(existsSync(path), false);
  });

  it('drops what does not fit in memory while the disk fails, says how much, and goes on by itself', async () => {
    const host = fakeHost();
    const running = await start({ fields: ['userAgent', 'path'] }, host);
    const gone = `${folder}-gone`;
    renameSync(folder, gone);
    host.reopen();
    while (host.logs.length === 0) await nextTurn();
    const text = 'x'.repeat(2_000);
    const fitting = Math.floor(MAX_PENDING_BYTES / `{"userAgent":"${text}","path":"/"}\n`.length);
    for (let index = 0; index < fitting + 7; index++)
      await running.send({ request: { headers: { 'user-agent': text } } });

    renameSync(gone, folder);
    await running.close();

    const lines = readLines();
    assert.equal(lines.length, fitting + 1);
    assert.deepEqual(lines[0], { time: '2026-01-01T00:00:00.000Z', dropped: 7 });
    assert.deepEqual(
      host.logs.map(({ level }) => level),
      ['error', 'info'],
    );
  });

  it('leaves traffic alone while the disk is full', async function () {
    if (process.platform !== 'linux') return this.skip();
    const host = fakeHost();
    const running = await start({ path: '/dev/full' }, host);

    const { status } = await running.send();
    await running.close();

    assert.equal(status, 200);
    assert.match(String(host.logs[0]?.fields['error']), /ENOSPC/);
  });

  it('refuses to be set up for a directory, and where there is none', async () => {
    mkdirSync(path);

    await assert.rejects(start(), /cannot write the log file .*access\.log: it is a directory/);
    await assert.rejects(start({ path: join(folder, 'none', 'a.log') }), /there is no directory .*none/);
  });

  for (const config of [
    {},
    { path: '' },
    { path: 'a\0b' },
    { path: 'a', fields: [] },
    { path: 'a', fields: ['body'] },
  ]) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(pluginFolder, config), { name: 'ConfigError' });
    });
  }
});
