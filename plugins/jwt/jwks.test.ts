// What jwt does when the issuer publishes its keys.
import assert from 'node:assert/strict';
import type { JsonWebKey } from 'node:crypto';
import {
  type FetchAnswer,
  fakeConsumers,
  fakeHost,
  type RunningPlugin,
  type RunResult,
  readConfig,
  startPlugin,
  type TestHost,
} from 'sallyport/testing';
import type { Config } from './config.ts';
import { ecPair, issue, type Pair, part, rsaPair } from './forge.ts';
import { plugin } from './handler.ts';

const folder = new URL('.', import.meta.url);
const URL_OF_KEYS = 'https://issuer.test/jwks.json';
const first = rsaPair();
const second = ecPair();

function jwk(pair: Pair, more: object = {}): JsonWebKey {
  return { ...pair.publicKey.export({ format: 'jwk' }), ...more };
}

interface Stage {
  readonly host: TestHost;
  readonly running: RunningPlugin;
  /** What the issuer answers from now on. */
  publish(answer: FetchAnswer | (() => never)): void;
  send(token: string): Promise<RunResult>;
}

async function stage(keys: unknown, keysFrom: object = {}): Promise<Stage> {
  let answer: FetchAnswer | (() => never) = { body: { keys } };
  const fetch = { [URL_OF_KEYS]: () => (typeof answer === 'function' ? answer() : answer) };
  const host = fakeHost({ fetch });
  const config = readConfig<Config>(folder, { keysFrom: { jwksUrl: URL_OF_KEYS, ...keysFrom }, claimsToVerify: [] });
  const running = await startPlugin(plugin, { config, host });
  const consumers = fakeConsumers({
    username: 'alice',
    credentials: [{ type: 'jwt', key: 'sub-1', algorithm: 'RS256' }],
  });
  return {
    host,
    running,
    publish(next) {
      answer = next;
    },
    send: (token) => running.send({ request: { consumers, headers: { authorization: `Bearer ${token}` } } }),
  };
}

const token = issue({ sub: 'sub-1' }, first.privateKey, 'RS256', { kid: 'a' });

describe('jwt with a key set', () => {
  it('verifies with the key that the token names, and reads the set once', async () => {
    const { host, send } = await stage([jwk(second, { kid: 'b' }), jwk(first, { kid: 'a' })]);

    const results = await Promise.all([
      send(token),
      send(token),
      send(issue({}, second.privateKey, 'ES256', { kid: 'b' })),
    ]);

    assert.deepEqual(
      results.map(({ status }) => status),
      [200, 200, 200],
    );
    assert.deepEqual(
      results.map(({ exchange }) => exchange.consumer),
      [undefined, undefined, undefined],
    );
    assert.deepEqual(host.fetched, [URL_OF_KEYS]);
  });

  it('identifies the consumer by a claim when it is told to, and refuses who has none', async () => {
    const { send } = await stage([jwk(first, { kid: 'a' })], { consumerClaim: 'sub' });

    const known = await send(token);
    const unknown = await send(issue({ sub: 'sub-2' }, first.privateKey, 'RS256', { kid: 'a' }));
    const none = await send(issue({}, first.privateKey, 'RS256', { kid: 'a' }));
    const forged = await send(issue({ sub: 'sub-1' }, rsaPair().privateKey, 'RS256', { kid: 'a' }));

    assert.equal(known.exchange.consumer?.username, 'alice');
    assert.deepEqual([unknown.status, none.status, forged.status], [401, 401, 401]);
  });

  it('takes the only key that fits when the token names none, and none of several', async () => {
    const nameless = issue({}, first.privateKey, 'RS256');
    const one = await stage([jwk(second), jwk(first, { kid: 'a' })]);
    const two = await stage([jwk(first, { kid: 'a' }), jwk(rsaPair(), { kid: 'b' })]);

    assert.equal((await one.send(nameless)).status, 200);
    assert.equal((await two.send(nameless)).status, 401);
  });

  const unfit: [string, unknown][] = [
    ['is for encryption', jwk(first, { kid: 'a', use: 'enc' })],
    ['may not verify', jwk(first, { kid: 'a', key_ops: ['encrypt'] })],
    ['is for another algorithm', jwk(first, { kid: 'a', alg: 'RS512' })],
    ['is of another kind', jwk(second, { kid: 'a' })],
    ['is short', jwk(rsaPair(1024), { kid: 'a' })],
    ['is broken', { kty: 'RSA', kid: 'a', n: '!', e: 'AQAB' }],
    ['is text', 'a'],
  ];
  for (const [why, key] of unfit) {
    it(`refuses a token whose key ${why}`, async () => {
      assert.equal((await (await stage([key])).send(token)).status, 401);
    });
  }

  it('never takes a symmetric key, nor a public key as a secret', async () => {
    const secret = 'a published secret is no secret at all';
    const { send } = await stage([{ kty: 'oct', k: part(secret), kid: 'a', alg: 'HS256' }, jwk(first, { kid: 'b' })]);

    assert.equal((await send(issue({}, secret, 'HS256', { kid: 'a' }))).status, 401);
    assert.equal((await send(issue({}, first.pem, 'HS256', { kid: 'b' }))).status, 401);
  });

  it('reads the set again for an unknown key id, at most once per cool-down', async () => {
    const { host, send, publish } = await stage([jwk(first, { kid: 'a' })]);
    await send(token);
    host.clock.advance(30_000);

    const strangers = Array.from({ length: 1_000 }, (_, at) =>
      issue({}, 'x', 'HS256', { kid: `k${at}` }).replace(
        part({ alg: 'HS256', typ: 'JWT', kid: `k${at}` }),
        part({ alg: 'RS256', kid: `k${at}` }),
      ),
    );
    for (const stranger of strangers) assert.equal((await send(stranger)).status, 401);
    assert.equal(host.fetched.length, 2);

    publish({ body: { keys: [jwk(second, { kid: 'b' })] } });
    const rotated = issue({}, second.privateKey, 'ES256', { kid: 'b' });
    assert.equal((await send(rotated)).status, 401);
    host.clock.advance(30_000);
    assert.equal((await send(rotated)).status, 200);
  });

  it('refuses a verified token when its key is gone from the set', async () => {
    const { host, send, publish } = await stage([jwk(first, { kid: 'a' })]);
    const before = await send(token);

    publish({ body: { keys: [jwk(second, { kid: 'b' })] } });
    host.clock.advance(300_000);
    await send(token);
    const after = await send(token);

    assert.deepEqual([before.status, after.status], [200, 401]);
  });

  const broken: [string, FetchAnswer | (() => never)][] = [
    [
      'is out of reach',
      () => {
        throw new Error('refused');
      },
    ],
    ['answers 500', { status: 500 }],
    ['answers 302', { status: 302, headers: { location: 'http://169.254.169.254/' } }],
    ['is too large', { body: 'x'.repeat(600_000) }],
    ['is no JSON', { body: '<html>' }],
    ['is no key set', { body: { keys: 'none' } }],
    ['is empty of sense', { body: [] }],
    ['has a thousand keys', { body: { keys: Array.from({ length: 1000 }, () => ({})) } }],
  ];
  for (const [why, answer] of broken) {
    it(`keeps the keys it has when the set ${why}`, async () => {
      const { host, send, publish } = await stage([jwk(first, { kid: 'a' })]);
      await send(token);
      publish(answer);
      host.clock.advance(300_000);

      const known = [await send(token), await send(token)];
      const unknown = await send(issue({}, first.privateKey, 'RS256', { kid: 'b' }));

      assert.deepEqual(
        known.map(({ status }) => status),
        [200, 200],
      );
      assert.equal(unknown.status, 503);
      assert.deepEqual([host.fetched.length, host.logs.length], [2, 1]);
    });

    it(`answers 503, never 401, when it has no key and the set ${why}`, async () => {
      const { host, send, publish } = await stage([]);
      publish(answer);

      const statuses = [(await send(token)).status, (await send(token)).status];

      assert.deepEqual([statuses, host.fetched.length], [[503, 503], 1]);
    });
  }
});
