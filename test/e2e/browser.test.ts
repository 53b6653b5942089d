// A browser before the running product: pages, fetch and WebSockets of one origin, in clear and over TLS.
// Must not drive the browser: the page does what pages do, and sends what came of it through the gateway, too.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ClientStage, HOST, startClientStage } from '../support/wire/client-stage.ts';

/** Is what the page says. */
interface Report {
  readonly get: string;
  readonly posted: string;
  readonly large: number;
  readonly many: readonly string[];
  readonly refused: readonly [status: number, code: string];
  readonly echoed: readonly string[];
  readonly bytes: number;
  readonly closed: readonly [code: number, wasClean: boolean];
  /** What the requests went over, as the browser names it. */
  readonly protocols: readonly string[];
}

const PAGE = `<!doctype html><title>page</title><script>
const text = async (path, options) => (await fetch(path, options)).text();
const refuse = async (path) => {
  const answer = await fetch(path);
  return [answer.status, (await answer.json()).code];
};
const chat = () => new Promise((resolve, reject) => {
  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat', ['chat']);
  socket.binaryType = 'arraybuffer';
  const echoed = [];
  let bytes = 0;
  socket.onerror = reject;
  socket.onopen = () => socket.send('hello');
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') {
      echoed.push(data);
      if (echoed.length < 3) socket.send(data + '!');
      else socket.send(new Uint8Array(1 << 20));
    } else {
      bytes = data.byteLength;
      socket.close(4002, 'done');
    }
  };
  socket.onclose = ({ code, wasClean }) => resolve({ echoed, bytes, closed: [code, wasClean] });
});
const report = async () => ({
  get: await text('/get?a=b'),
  posted: await text('/echo', { method: 'POST', body: 'posted' }),
  large: (await (await fetch('/bytes?count=5000000')).arrayBuffer()).byteLength,
  many: await Promise.all(Array.from({ length: 30 }, (_, at) => text('/' + at))),
  refused: await refuse('/a%2Fb%00'),
  ...(await chat()),
  protocols: [...new Set(performance.getEntriesByType('resource').map((one) => one.nextHopProtocol))],
});
report().catch((error) => ({ error: String(error) })).then((found) => fetch('/report', { method: 'POST', body: JSON.stringify(found) }));
</script>`;

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

describe('a browser', function () {
  this.timeout(60_000);
  let program: string;
  let stage: ClientStage;
  let folder: string;
  let browser: ChildProcess | undefined;

  before(async function () {
    const found = PROGRAMS.find((name) => spawnSync(name, ['--version']).status === 0);
    if (!found) {
      if (process.env['CI'] === 'true') throw new Error('CI needs a browser: install chromium');
      process.stdout.write('    skipped, for there is no browser: install chromium\n');
      this.skip();
    }
    program = found;
    folder = await mkdtemp(join(tmpdir(), 'sallyport-browser-'));
    stage = await startClientStage(PAGE);
  });

  after(async () => {
    await stage?.close();
    if (folder) await rm(folder, { recursive: true, force: true });
  });

  afterEach(async () => {
    if (browser?.pid === undefined || browser.exitCode !== null || browser.signalCode !== null) return;
    const ended = once(browser, 'exit');
    // A group of its own: it has children that outlive it otherwise.
    process.kill(-browser.pid, 'SIGKILL');
    await ended;
  });

  /** Opens the page and gives what it says. */
  async function visit(url: string): Promise<Report> {
    // A profile whose browser was killed may be taken for one in use.
    const profile = await mkdtemp(join(folder, 'profile-'));
    browser = spawn(
      program,
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'],
        ...['--disable-background-networking', '--disable-extensions', '--disable-component-update'],
        // Keeps it open behind the loading of the page.
        '--remote-debugging-port=0',
        `--user-data-dir=${profile}`,
        '--ignore-certificate-errors',
        `--host-resolver-rules=MAP ${HOST} 127.0.0.1`,
        url,
      ],
      { stdio: 'ignore', detached: true },
    );
    const ended = once(browser, 'exit').then(() => {
      throw new Error('the browser ended');
    });
    return (await Promise.race([stage.nextReport(), ended])) as Report;
  }

  for (const scheme of ['http', 'https'] as const) {
    it(`fetches and speaks over WebSockets (${scheme})`, async () => {
      const port = scheme === 'http' ? stage.port : stage.tlsPort;

      const report = await visit(`${scheme}://${HOST}:${port}/page`);

      assert.deepEqual(report, {
        get: 'GET /get?a=b',
        posted: 'posted',
        large: 5_000_000,
        many: Array.from({ length: 30 }, (_, at) => `GET /${at}`),
        refused: [400, 'PATH_AMBIGUOUS'],
        echoed: ['hello', 'hello!', 'hello!!'],
        bytes: 1 << 20,
        closed: [4002, true],
        protocols: [scheme === 'http' ? 'http/1.1' : 'h2'],
      } satisfies Report);
    });
  }
});
