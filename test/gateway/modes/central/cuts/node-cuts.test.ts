// Facts about a node with a plugin of tier native whose hooks do not return: they are cut, and cost nobody else anything.
// Must not wait for what has no sign: each step ends with an answer or a line of the log.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { get, type ServerResponse } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Binding } from '../../../../../gateway/core/model.ts';
import { createDatabase, type TestDatabase } from '../../../../support/product/database.ts';
import { type LogLine, type RunningProduct, startNode } from '../../../../support/product/gateway.ts';
import { makeApi, makeBinding, publish, write } from '../../../../support/product/publish.ts';
import { until } from '../../../../support/until.ts';
import { type Origin, startOrigin } from '../../../../support/wire/origin.ts';

const LIMIT_MS = 200;
const WORKERS = 2;
/** Requests that wait for their upstream meanwhile, on connections of their own: some in either worker. */
const IN_FLIGHT = 20;

const MANIFEST = {
  name: 'held',
  version: '1.0.0',
  title: 'Held',
  summary: 'Keeps the thread where a request asks for it.',
  stage: 'transform',
  hooks: ['onRequest', 'onResponse', 'onResponseChunk', 'onLog'],
  scopes: ['global'],
  failPolicy: 'open',
  limits: { timeoutMs: LIMIT_MS, memoryMb: 32 },
  permissions: {},
  engines: { gateway: '^1.0.0' },
};

const HANDLER = `
import { definePlugin } from 'sallyport/plugin';
const ways = {
  loop() { try { for (;;); } finally { for (;;); } },
  regex() { /^(a+)+$/.test('a'.repeat(40) + 'b'); },
  async first() { for (;;); },
  async later() { await undefined; for (;;); },
  async microtasks() { for (;;) await undefined; },
  async bomb() { await undefined; /^(a+)+$/.test('a'.repeat(40) + 'b'); },
  work(host) { const from = host.clock.monotonicMs(); while (host.clock.monotonicMs() - from < ${LIMIT_MS / 4}); },
};
function run(at, exchange, host) {
  const header = exchange.request.headers.get('x-hold') ?? '';
  const [where, way] = header.split(' ');
  if (where === at) return ways[way](host);
}
export const plugin = definePlugin({
  setup: (config, host) => host,
  onRequest: (exchange, config, host) => run('onRequest', exchange, host),
  onResponse: (exchange, config, host) => run('onResponse', exchange, host),
  onResponseChunk: (chunk, last, exchange, config, host) => void run('onResponseChunk', exchange, host),
  onLog: (exchange, config, host) => run('onLog', exchange, host),
});
`;

const SCHEMA = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  type: 'object',
  additionalProperties: false,
  properties: { turn: { type: 'integer', title: 'Turn', description: 'Makes another set-up.', default: 0 } },
  examples: [{}],
};

async function writePlugin(folder: string): Promise<void> {
  const own = join(folder, MANIFEST.name);
  await mkdir(own);
  await writeFile(join(own, 'manifest.json'), JSON.stringify(MANIFEST));
  await writeFile(join(own, 'config.schema.json'), JSON.stringify(SCHEMA));
  await writeFile(join(own, 'handler.js'), HANDLER);
  await writeFile(join(own, 'package.json'), '{"type":"module"}');
}

interface Answer {
  /** 0 = the connection broke. */
  readonly status: number;
  readonly text: string;
}

describe('node with a hook that does not return', function () {
  this.timeout(60_000);
  let database: TestDatabase;
  let origin: Origin;
  let folder: string;
  let node: RunningProduct;
  let binding: Binding;
  let turn = 0;
  const held: ServerResponse[] = [];

  before(async () => {
    database = await createDatabase();
    origin = await startOrigin(({ target }, response) => {
      if (target === '/wait') held.push(response);
      else response.end('ok');
    });
    folder = await mkdtemp(join(tmpdir(), 'sallyport-held-'));
    await writePlugin(folder);
    binding = makeBinding('held', { config: { turn } });
    await publish(database.url, [write('api', makeApi('orders', { upstream: origin.url })), write('binding', binding)]);
    node = await startNode(database.url, {
      environment: { SALLYPORT_PLUGIN_DIRS: folder, SALLYPORT_WORKERS: String(WORKERS) },
    });
  });

  after(async () => {
    await node?.stop();
    await origin.close();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Sends a request on a connection of its own. Not by `fetch`: that takes a response that broke off for whole. */
  const ask = (hold = '', path = ''): Promise<Answer> =>
    new Promise((resolve) => {
      const broken = (): void => resolve({ status: 0, text: '' });
      const request = get(`${node.urls.proxy}/orders${path}`, { agent: false, headers: { 'x-hold': hold } });
      request.on('error', broken).on('response', (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', broken);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      });
    });

  /** Sends a request as a stream; gives the status, 0 when the stream was reset. */
  const askStream = (session: ClientHttp2Session, hold: string, path = ''): Promise<number> =>
    new Promise((resolve) => {
      const stream = session.request({ ':path': `/orders${path}`, 'x-hold': hold });
      let status = 0;
      stream.on('response', (head) => {
        status = head[':status'] ?? 0;
      });
      stream.on('error', () => resolve(0)).on('end', () => resolve(status));
      stream.resume();
    });

  /** Waits for a line that is not there yet. */
  const next = (fits: (line: LogLine) => boolean): Promise<LogLine> => {
    const known = new Set(node.log);
    return node.waitForLog((line) => !known.has(line) && fits(line));
  };
  const says = (text: string) => (line: LogLine) => line['message'] === text;
  const CUT = 'a plugin is set aside: its hook did not return and was cut';
  const RELIEVED = 'a relieved worker has ended';

  const readMetric = async (name: string): Promise<number> => {
    const text = await (await fetch(`${node.urls.status}/metrics`)).text();
    return Number(new RegExp(`^${name}(?:\\{[^}]*plugin="held"[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
  };

  /** Makes another set-up, which is not aside; sees to it that the one before harms nobody any more. */
  async function renew(): Promise<void> {
    const inForce = next(says('revision in force'));
    await publish(database.url, [write('binding', { ...binding, config: { turn: ++turn } } as Binding)]);
    await inForce;
  }

  /** Lets requests wait in all workers while `attack` goes on; gives what became of them. */
  async function amid(attack: () => Promise<void>): Promise<readonly number[]> {
    const others = Array.from({ length: IN_FLIGHT }, () => ask('', '/wait'));
    await until(() => held.length === IN_FLIGHT);
    await attack();
    for (const response of held.splice(0)) response.end('ok');
    return [...new Set((await Promise.all(others)).map(({ status }) => status))];
  }

  for (const [hold, status] of [
    ['onRequest loop', 503],
    ['onRequest regex', 503],
    ['onRequest first', 503],
    ['onResponse loop', 503],
    ['onResponseChunk loop', 0],
    ['onLog loop', 200],
  ] as const) {
    it(`cuts ${hold} near its limit, loses no other request, and sets it aside in every worker`, async () => {
      await renew();
      const [cuts, deaths] = [
        await readMetric('sallyport_plugin_cuts_total'),
        await readMetric('sallyport_worker_deaths_total'),
      ];
      const relieved = next(says(RELIEVED));
      const cut = next(says(CUT));
      let answer: Answer | undefined;
      let tookMs = 0;

      const others = await amid(async () => {
        const from = performance.now();
        answer = await ask(hold);
        await cut;
        tookMs = performance.now() - from;
      });
      await relieved;
      const later = await Promise.all(Array.from({ length: 3 * WORKERS }, () => ask(hold)));

      assert.equal(answer?.status, status);
      if (status === 503) assert.match(answer?.text ?? '', /PLUGIN_TIMEOUT/);
      assert.ok(tookMs < 10 * LIMIT_MS, `it took ${tookMs} ms`);
      assert.deepEqual(others, [200]);
      assert.deepEqual([...new Set(later.map((one) => one.status))], [200]);
      assert.equal(await readMetric('sallyport_plugin_aside'), WORKERS);
      assert.equal(await readMetric('sallyport_plugin_cuts_total'), cuts + 1);
      assert.equal(await readMetric('sallyport_worker_deaths_total'), deaths);
    });
  }

  for (const hold of ['onRequest later', 'onRequest bomb', 'onRequest microtasks', 'onResponse later']) {
    it(`cuts ${hold} before its worker is lost, loses no other request, and sets it aside in every worker`, async () => {
      await renew();
      const deaths = await readMetric('sallyport_worker_deaths_total');
      const relieved = next(says(RELIEVED));
      let answer: Answer | undefined;

      const others = await amid(async () => {
        answer = await ask(hold);
      });
      await relieved;
      const later = await Promise.all(Array.from({ length: 3 * WORKERS }, () => ask(hold)));

      assert.equal(answer?.status, 200);
      assert.deepEqual(others, [200]);
      assert.deepEqual([...new Set(later.map((one) => one.status))], [200]);
      assert.equal(await readMetric('sallyport_plugin_aside'), WORKERS);
      assert.equal(await readMetric('sallyport_worker_deaths_total'), deaths);
    });
  }

  for (const [hold, answers] of [
    ['onRequest loop', [200, 503]],
    ['onResponse loop', [200, 503]],
    ['onResponseChunk loop', [0, 200]],
  ] as const) {
    it(`cuts ${hold} on HTTP/2, and the other streams of its connection are answered`, async () => {
      await renew();
      const relieved = next(says(RELIEVED));
      const session = connect(node.urls.proxy);
      const other = askStream(session, '', '/wait');
      await until(() => held.length === 1);

      const own = await askStream(session, hold);
      for (const response of held.splice(0)) response.end('ok');
      const statuses = [await other, own].sort((a, b) => a - b);
      session.close();
      await relieved;

      assert.deepEqual(statuses, answers);
    });
  }

  it('tells the incident', async () => {
    const { incident, binding: id } = (await node.waitForLog(says(CUT))) as unknown as {
      readonly binding: string;
      readonly incident: { readonly reason: string; readonly sample: { readonly path: string } };
    };

    assert.equal(id, binding.id);
    assert.match(incident.reason, new RegExp(`^it did not return within ${LIMIT_MS} ms and was cut$`));
    assert.equal(incident.sample.path, '/orders');
  });

  it('does not cut a hook that works for less than its limit', async () => {
    await renew();
    const cuts = await readMetric('sallyport_plugin_cuts_total');

    const answers = await Promise.all(Array.from({ length: 20 }, () => ask('onRequest work')));

    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(await readMetric('sallyport_plugin_cuts_total'), cuts);
  });
});
