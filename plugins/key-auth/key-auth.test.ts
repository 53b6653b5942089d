// What key-auth lets through, refuses and hides.
import assert from 'node:assert/strict';
import {
  fakeConsumers,
  fakeExchange,
  type RequestOptions,
  type RunResult,
  readConfig,
  runPlugin,
  type TestConsumers,
} from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const KEY = 'alice-key-0001';
const OTHER = 'bob-key-00001';

function directory(): TestConsumers {
  return fakeConsumers(
    { username: 'alice', credentials: [{ type: 'key-auth', key: KEY }] },
    { username: 'bob', credentials: [{ type: 'key-auth', key: OTHER }] },
  );
}

function run(request: RequestOptions, config: Partial<Config> = {}): Promise<RunResult> {
  return runPlugin(plugin, {
    config: readConfig<Config>(folder, config),
    request: { consumers: directory(), ...request },
  });
}

describe('key-auth', () => {
  const known: [string, RequestOptions][] = [
    ['in a header', { headers: { apikey: KEY } }],
    ['in a header of another case', { headers: { APIKEY: KEY } }],
    ['in the query', { query: `apikey=${KEY}` }],
    ['in the query, percent-encoded', { query: `%61pikey=${KEY.replace('-', '%2D')}` }],
    ['twice, but the same', { headers: { apikey: [KEY, KEY] }, query: `apikey=${KEY}` }],
  ];
  for (const [where, request] of known) {
    it(`identifies the owner of a key ${where}`, async () => {
      const { status, exchange, reachedUpstream } = await run(request);

      assert.deepEqual([status, reachedUpstream], [200, true]);
      assert.equal(exchange.consumer?.username, 'alice');
      assert.equal(exchange.credential?.type, 'key-auth');
    });
  }

  const refused: [string, RequestOptions][] = [
    ['there is no key', {}],
    ['the key is empty', { headers: { apikey: '' } }],
    ['the key belongs to nobody', { headers: { apikey: 'nobody' } }],
    ['the key differs in case', { headers: { apikey: KEY.toUpperCase() } }],
    ['the key is a prefix of a known one', { headers: { apikey: KEY.slice(0, -1) } }],
    ['two headers hold different keys', { headers: { apikey: [KEY, OTHER] } }],
    ['the header and the query hold different keys', { headers: { apikey: KEY }, query: 'apikey=x' }],
    ['the second key is empty', { headers: { apikey: KEY }, query: 'apikey' }],
    ['the query names the key in another case', { query: `ApiKey=${KEY}` }],
    ['the hash is sent instead of the key', { headers: { apikey: directory().identityOf('alice').credential.lookup } }],
    ['the key is longer than any', { headers: { apikey: 'k'.repeat(513) } }],
  ];
  for (const [why, request] of refused) {
    it(`answers 401 and never calls the upstream when ${why}`, async () => {
      const { status, headers, exchange, reachedUpstream } = await run(request);

      assert.deepEqual([status, reachedUpstream], [401, false]);
      assert.equal(headers.get('www-authenticate'), 'Key realm="sallyport"');
      assert.equal(exchange.consumer, undefined);
    });
  }

  it('looks only where it is told', async () => {
    const header = await run({ query: `apikey=${KEY}` }, { in: ['header'] });
    const query = await run({ headers: { apikey: KEY } }, { in: ['query'] });

    assert.deepEqual([header.status, query.status], [401, 401]);
  });

  it('hides the key everywhere and leaves the rest of the query byte for byte', async () => {
    const query = `a=%zz&apikey=${KEY}&&b=+%41;c&apikey=${KEY}`;

    const { exchange } = await run({ headers: { apikey: KEY, 'x-other': '1' }, query });

    assert.equal(exchange.request.query, 'a=%zz&&b=+%41;c');
    assert.deepEqual(exchange.request.headers.entries(), [['x-other', '1']]);
  });

  it('leaves the key when it is told not to hide it', async () => {
    const { exchange } = await run({ query: `apikey=${KEY}` }, { hideCredentials: false });

    assert.equal(exchange.request.query, `apikey=${KEY}`);
  });

  it('answers without a promise when the directory does, and waits when it does not', async () => {
    const config = readConfig<Config>(folder);
    const consumers = directory();
    const exchange = fakeExchange({ headers: { apikey: KEY }, consumers });
    const places = { headerNames: ['apikey'], queryNames: new Set<string>() };

    assert.equal(plugin.onRequest?.(exchange, config, places), undefined);
    consumers.answer('async');
    const later = await run({ headers: { apikey: KEY }, consumers });

    assert.equal(later.exchange.consumer?.username, 'alice');
  });

  it('answers 503, never 401, when the directory cannot say', async () => {
    const consumers = directory();
    consumers.answer('down');

    const { status, reachedUpstream } = await run({ headers: { apikey: KEY }, consumers });

    assert.deepEqual([status, reachedUpstream], [503, false]);
  });

  it('asks the directory for the hash, never for the key', async () => {
    const consumers = directory();

    await run({ headers: { apikey: KEY }, consumers });

    assert.deepEqual(consumers.asked, [`key-auth ${consumers.identityOf('alice').credential.lookup}`]);
    assert.doesNotMatch(consumers.asked.join(), /alice-key/);
  });

  for (const config of [{ keyNames: [] }, { keyNames: ['a b'] }, { in: ['cookie'] }, { keyName: 'x' }]) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});
