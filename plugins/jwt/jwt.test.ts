// What jwt lets through and refuses when consumers hold the keys.
import assert from 'node:assert/strict';
import {
  fakeConsumers,
  fakeExchange,
  fakeHost,
  type RequestOptions,
  type RunResult,
  readConfig,
  runPlugin,
  startPlugin,
  type TestConsumers,
  type TestHost,
} from 'sallyport/testing';
import type { Config } from './config.ts';
import { ecPair, issue, rsaPair } from './forge.ts';
import { plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const SECRET = 'a secret of at least thirty-two bytes';
const rsa = rsaPair();
const ec = ecPair();
const NOW = fakeHost().clock.wallMs() / 1000;
const claims = { iss: 'alice', exp: NOW + 60 };

const CREDENTIALS = [
  { type: 'jwt', key: 'alice', algorithm: 'HS256', secret: SECRET },
  {
    type: 'jwt',
    key: 'bytes',
    algorithm: 'HS512',
    secret: Buffer.alloc(64, 7).toString('base64url'),
    secretEncoding: 'base64url',
  },
  { type: 'jwt', key: 'rsa', algorithm: 'RS256', publicKey: rsa.pem },
  { type: 'jwt', key: 'pss', algorithm: 'PS256', publicKey: rsa.pem },
  { type: 'jwt', key: 'ec', algorithm: 'ES256', publicKey: ec.pem },
];

function directory(): TestConsumers {
  return fakeConsumers({ username: 'alice', credentials: CREDENTIALS });
}

function run(request: RequestOptions, config: object = {}, host: TestHost = fakeHost()): Promise<RunResult> {
  return runPlugin(plugin, {
    config: readConfig<Config>(folder, config),
    host,
    request: { consumers: directory(), ...request },
  });
}

function send(token: string, config: object = {}): Promise<RunResult> {
  return run({ headers: { authorization: `Bearer ${token}` } }, config);
}

describe('jwt', () => {
  const good: [string, string][] = [
    ['HS256', issue(claims, SECRET)],
    [
      'HS512 with a secret of bytes',
      issue({ ...claims, iss: 'bytes' }, Buffer.alloc(64, 7).toString('latin1'), 'HS512'),
    ],
    ['RS256', issue({ ...claims, iss: 'rsa' }, rsa.privateKey, 'RS256')],
    ['PS256', issue({ ...claims, iss: 'pss' }, rsa.privateKey, 'PS256')],
    ['ES256', issue({ ...claims, iss: 'ec' }, ec.privateKey, 'ES256')],
    ['HS256 with a key id that means nothing', issue(claims, SECRET, 'HS256', { kid: "../../x' OR 1=1" })],
  ];
  for (const [what, token] of good) {
    it(`identifies the consumer of a token of ${what}`, async () => {
      const { status, exchange } = await send(token);

      assert.deepEqual([status, exchange.consumer?.username], [200, 'alice']);
    });
  }

  it('asks for a token when there is none', async () => {
    const none = await run({});
    const basic = await run({ headers: { authorization: 'Basic YTpi' } });

    for (const { status, headers } of [none, basic]) {
      assert.deepEqual([status, headers.get('www-authenticate')], [401, 'Bearer realm="sallyport"']);
    }
  });

  it('answers 503, never 401, when the directory cannot say', async () => {
    const consumers = directory();
    consumers.answer('down');

    const { status } = await run({ headers: { authorization: `Bearer ${issue(claims, SECRET)}` }, consumers });

    assert.equal(status, 503);
  });

  for (const data of [
    { algorithm: 'HS256' },
    { algorithm: 'RS256', publicKey: 'no PEM' },
    { algorithm: 'RS256', publicKey: rsaPair(1024).pem },
  ]) {
    it(`answers 503 and logs when a credential holds ${JSON.stringify(data).slice(0, 50)}`, async () => {
      const host = fakeHost();
      const consumers = fakeConsumers({ username: 'x', credentials: [{ type: 'jwt', key: 'alice', ...data }] });
      const key = data.algorithm === 'HS256' ? SECRET : rsa.privateKey;
      const authorization = `Bearer ${issue(claims, key, data.algorithm)}`;

      const { status } = await run({ headers: { authorization }, consumers }, {}, host);

      assert.equal(status, 503);
      assert.deepEqual(
        host.logs.map(({ level }) => level),
        ['error'],
      );
    });
  }

  describe('and the place', () => {
    const token = issue(claims, SECRET);
    const other = issue({ ...claims, exp: NOW + 61 }, SECRET);
    const places = { headerNames: ['authorization', 'x-token'], queryNames: ['jwt'], cookieNames: ['session'] };

    const found: [string, RequestOptions][] = [
      ['a bearer of another case', { headers: { authorization: `bEARER  ${token}` } }],
      ['a bare header', { headers: { 'X-Token': token } }],
      ['the query', { query: `a=1&jwt=${token}` }],
      ['a cookie', { headers: { cookie: `a=1; session=${token}; b=2` } }],
      [
        'all places alike',
        { headers: { authorization: `Bearer ${token}`, cookie: `session=${token}` }, query: `jwt=${token}` },
      ],
    ];
    for (const [where, request] of found) {
      it(`finds the token in ${where}`, async () => {
        assert.equal((await run(request, places)).status, 200);
      });
    }

    const differing: RequestOptions[] = [
      { headers: { 'x-token': [token, `Bearer ${other}`] } },
      { headers: { authorization: `Bearer ${token}` }, query: `jwt=${other}` },
      { headers: { authorization: `Bearer ${token}` }, query: 'jwt=' },
      { headers: { cookie: `session=bad; session=${token}` } },
      { headers: { cookie: [`session=${token}`, 'session=bad'] } },
    ];
    for (const request of differing) {
      it(`refuses differing tokens: ${JSON.stringify(request).replaceAll(/ey[\w.-]+/g, '...')}`, async () => {
        assert.equal((await run(request, places)).status, 401);
      });
    }

    it('looks at the Authorization header alone unless it is told otherwise', async () => {
      assert.equal((await run({ query: `jwt=${token}`, headers: { cookie: `jwt=${token}` } })).status, 401);
    });

    it('leaves the token where it is, or takes it off without touching the rest', async () => {
      const request = {
        headers: {
          authorization: `Bearer ${token}`,
          'x-other': '1',
          cookie: [`a=1; session=${token};b`, `session=${token}`],
        },
        query: `a=%zz&jwt=${token}&b`,
      };

      const kept = await run(request, places);
      const hidden = await run(request, { ...places, hideCredentials: true });

      assert.equal(kept.exchange.request.query, request.query);
      assert.equal(hidden.exchange.request.query, 'a=%zz&b');
      assert.deepEqual(hidden.exchange.request.headers.entries(), [
        ['x-other', '1'],
        ['cookie', 'a=1;b'],
      ]);
    });
  });

  describe('once a token was verified', () => {
    const token = issue(claims, SECRET);
    const request = (consumers: TestConsumers) => ({
      request: { consumers, headers: { authorization: `Bearer ${token}` } },
    });

    it('costs no promise', async () => {
      const config = readConfig<Config>(folder);
      const state = await plugin.setup?.(config, fakeHost());
      assert.ok(state);

      const answers = [1, 2].map(() => plugin.onRequest?.(fakeExchange(request(directory()).request), config, state));

      assert.deepEqual(answers, [undefined, undefined]);
    });

    it('refuses it when it has expired', async () => {
      const host = fakeHost();
      const running = await startPlugin(plugin, { config: readConfig<Config>(folder), host });
      const consumers = directory();

      const before = await running.send(request(consumers));
      host.clock.advance(59_999);
      const late = await running.send(request(consumers));
      host.clock.advance(1);
      const after = await running.send(request(consumers));

      assert.deepEqual([before.status, late.status, after.status], [200, 200, 401]);
    });

    const changes: [string, (consumers: TestConsumers) => void][] = [
      ['the consumer is gone', (consumers) => consumers.remove('alice')],
      [
        'the secret is changed',
        (consumers) =>
          consumers.put({
            username: 'alice',
            credentials: [{ type: 'jwt', key: 'alice', algorithm: 'HS256', secret: `${SECRET}!` }],
          }),
      ],
      [
        'the algorithm is changed',
        (consumers) =>
          consumers.put({
            username: 'alice',
            credentials: [{ type: 'jwt', key: 'alice', algorithm: 'HS384', secret: SECRET }],
          }),
      ],
    ];
    for (const [why, change] of changes) {
      it(`refuses it as soon as ${why}`, async () => {
        const running = await startPlugin(plugin, { config: readConfig<Config>(folder) });
        const consumers = directory();
        const before = await running.send(request(consumers));

        change(consumers);

        assert.deepEqual([before.status, (await running.send(request(consumers))).status], [200, 401]);
      });
    }

    it('identifies whoever holds the credential now', async () => {
      const running = await startPlugin(plugin, { config: readConfig<Config>(folder) });
      const consumers = directory();
      await running.send(request(consumers));

      consumers.remove('alice');
      consumers.put({ username: 'bob', credentials: CREDENTIALS });

      assert.equal((await running.send(request(consumers))).exchange.consumer?.username, 'bob');
    });
  });

  for (const config of [
    { algorithms: ['none'] },
    { algorithms: [] },
    { keysFrom: 'file' },
    { keysFrom: { jwksUrl: 'file:///x' } },
    { keysFrom: {} },
  ]) {
    it(`refuses the configuration ${JSON.stringify(config)}`, () => {
      assert.throws(() => readConfig(folder, config), { name: 'ConfigError' });
    });
  }
});
