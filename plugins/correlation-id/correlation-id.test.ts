// Which id a request gets, and who learns it.
import assert from 'node:assert/strict';
import { type HeaderInput, type RunResult, readConfig, runPlugin, startPlugin } from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TRUSTING: Partial<Config> = { headerName: 'X-Correlation-Id', trustIncoming: true };

function run(config: Partial<Config> = {}, headers: HeaderInput = {}): Promise<RunResult> {
  return runPlugin(plugin, { config: readConfig<Config>(folder, config), request: { headers } });
}

describe('correlation-id', () => {
  it('makes a uuid and sends it to the client', async () => {
    const { exchange, headers } = await run();

    assert.match(exchange.id, UUID);
    assert.equal(headers.get('x-request-id'), exchange.id);
  });

  it('sends the id upstream under the name it is told', async () => {
    const { exchange } = await run({ headerName: 'X-Correlation-Id' });

    assert.deepEqual(exchange.request.headers.getAll('x-correlation-id'), [exchange.id]);
  });

  it('replaces what the client sent when it is not told to trust it', async () => {
    const { exchange } = await run({ headerName: 'X-Correlation-Id' }, { 'x-correlation-id': 'mine' });

    assert.match(exchange.id, UUID);
    assert.deepEqual(exchange.request.headers.getAll('x-correlation-id'), [exchange.id]);
  });

  it('keeps a sane id of the client when it is told to', async () => {
    const { exchange, headers } = await run(TRUSTING, { 'x-correlation-id': 'order-42/abc' });

    assert.equal(exchange.id, 'order-42/abc');
    assert.equal(headers.get('x-correlation-id'), 'order-42/abc');
  });

  const insane: [string, string | readonly string[]][] = [
    ['is empty', ''],
    ['holds a space', 'a b'],
    ['holds a tab', 'a\tb'],
    ['is not ASCII', 'caf\u00e9'],
    ['is longer than 128 characters', 'x'.repeat(129)],
    ['comes twice', ['a', 'b']],
  ];
  for (const [why, value] of insane) {
    it(`makes a new id when the client's ${why}`, async () => {
      const { exchange } = await run(TRUSTING, { 'x-correlation-id': value });

      assert.match(exchange.id, UUID);
      assert.deepEqual(exchange.request.headers.getAll('x-correlation-id'), [exchange.id]);
    });
  }

  it('counts behind one uuid with uuid#counter', async () => {
    const config = readConfig<Config>(folder, { generator: 'uuid#counter' });
    const running = await startPlugin(plugin, { config });

    const first = await running.send();
    const second = await running.send();

    const [prefix] = first.exchange.id.split('#');
    assert.match(prefix ?? '', UUID);
    assert.deepEqual([first.exchange.id, second.exchange.id], [`${prefix}#1`, `${prefix}#2`]);
  });

  it('keeps the id from the client without echo', async () => {
    const { headers } = await run({ echo: false });

    assert.equal(headers.has('x-request-id'), false);
  });

  // The gateway never takes X-Request-Id from clients, so trusting it would be a promise nobody keeps.
  const trusting = [{ trustIncoming: true }, { trustIncoming: true, headerName: 'x-request-id' }];
  for (const config of [
    { headerName: 'a b' },
    { headerName: 'Connection' },
    { headerName: 'host' },
    { generator: 'time' },
    { header: 'x' },
    ...trusting,
  ]) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});
