// What basic-auth lets through, and what a check costs.
import assert from 'node:assert/strict';
import {
  fakeClock,
  fakeConsumers,
  fakeExchange,
  fakeHost,
  type RequestOptions,
  type RunningPlugin,
  type RunResult,
  readConfig,
  runPlugin,
  startPlugin,
  type TestConsumers,
} from 'sallyport/testing';
import { type Config, plugin } from './handler.ts';
import type { Derive, ScryptCost } from './password-hash.ts';
import { buildVerifier } from './verifier.ts';

const folder = new URL('.', import.meta.url);
const NAME = 'zoë';
const PASSWORD = 'pa:ss wörd €';

function directory(password: string = PASSWORD): TestConsumers {
  return fakeConsumers({ username: 'zoe', credentials: [{ type: 'basic-auth', username: NAME, password }] });
}

function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function run(request: RequestOptions, config: Partial<Config> = {}): Promise<RunResult> {
  return runPlugin(plugin, {
    config: readConfig<Config>(folder, config),
    request: { consumers: directory(), ...request },
  });
}

describe('basic-auth', () => {
  for (const authorization of [basic(NAME, PASSWORD), basic(NAME, PASSWORD).replace('Basic ', 'bAsIc   ')]) {
    it(`identifies the owner of ${authorization.slice(0, 8)}...`, async () => {
      const { exchange, reachedUpstream } = await run({ headers: { authorization } });

      assert.equal(reachedUpstream, true);
      assert.equal(exchange.consumer?.username, 'zoe');
      assert.equal(exchange.request.headers.has('authorization'), false);
    });
  }

  it('leaves the header when it is told not to hide it', async () => {
    const authorization = basic(NAME, PASSWORD);

    const { exchange } = await run({ headers: { authorization } }, { hideCredentials: false });

    assert.equal(exchange.request.headers.get('authorization'), authorization);
  });

  const latin1 = `Basic ${Buffer.from(`${NAME}:${PASSWORD}`, 'latin1').toString('base64')}`;
  const refused: [string, RequestOptions['headers']][] = [
    ['there is no header', {}],
    ['the user is unknown', { authorization: basic('nobody', PASSWORD) }],
    ['the password is wrong', { authorization: basic(NAME, `${PASSWORD}!`) }],
    ['the password is empty', { authorization: basic(NAME, '') }],
    ['the user is empty', { authorization: basic('', PASSWORD) }],
    ['there is no colon', { authorization: `Basic ${Buffer.from(NAME).toString('base64')}` }],
    ['the scheme is another', { authorization: basic(NAME, PASSWORD).replace('Basic', 'Bearer') }],
    ['it is not base64', { authorization: 'Basic ****' }],
    ['it is not UTF-8', { authorization: latin1 }],
    ['it holds a control character', { authorization: basic(NAME, `${PASSWORD}\0`) }],
    ['it is longer than any', { authorization: basic(NAME, 'p'.repeat(3000)) }],
  ];
  for (const [why, headers] of refused) {
    it(`answers 401 and never calls the upstream when ${why}`, async () => {
      const result = await run({ headers: headers ?? {} });

      assert.deepEqual([result.status, result.reachedUpstream], [401, false]);
      assert.equal(result.headers.get('www-authenticate'), 'Basic realm="sallyport", charset="UTF-8"');
      assert.equal(result.exchange.consumer, undefined);
    });
  }

  it('refuses two headers by itself, although the gateway does so before it', async () => {
    const config = readConfig<Config>(folder);
    const state = await plugin.setup?.(config, fakeHost());
    assert.ok(state);
    const headers = { authorization: [basic(NAME, PASSWORD), basic('a', 'b')] };

    const exchange = fakeExchange({ headers, consumers: directory() });

    assert.throws(() => plugin.onRequest?.(exchange, config, state), { code: 'UNAUTHENTICATED' });
  });

  it('says the same of an unknown user and of a wrong password', async () => {
    const unknown = await run({ headers: { authorization: basic('nobody', PASSWORD) } });
    const wrong = await run({ headers: { authorization: basic(NAME, 'wrong') } });

    assert.equal(unknown.body, wrong.body);
  });

  it('answers 503, never 401, when the directory cannot say', async () => {
    const consumers = directory();
    consumers.answer('down');

    const { status } = await run({ headers: { authorization: basic(NAME, PASSWORD) }, consumers });

    assert.equal(status, 503);
  });

  it('answers 503 and logs which credential it is when the stored hash is broken', async () => {
    const host = fakeHost();
    const broken = { type: 'basic-auth', username: NAME, passwordHash: 'scrypt$9999999$99$99$x$y' };
    const consumers = fakeConsumers({ username: 'zoe', credentials: [broken] });
    const request = { headers: { authorization: basic(NAME, PASSWORD) }, consumers };

    const { status } = await runPlugin(plugin, { config: readConfig<Config>(folder), host, request });

    assert.equal(status, 503);
    assert.deepEqual(host.logs[0]?.fields, { credential: consumers.identityOf('zoe').credential.id });
  });

  describe('once a password was verified', () => {
    const config = readConfig<Config>(folder);
    const request = (consumers: TestConsumers) => ({ headers: { authorization: basic(NAME, PASSWORD) }, consumers });
    let running: RunningPlugin;
    let consumers: TestConsumers;

    beforeEach(async () => {
      consumers = directory();
      running = await startPlugin(plugin, { config });
      await running.send({ request: request(consumers) });
    });

    it('refuses it as soon as the password is changed', async () => {
      consumers.put({
        username: 'zoe',
        credentials: [{ type: 'basic-auth', username: NAME, password: 'another password' }],
      });

      const { status } = await running.send({ request: request(consumers) });

      assert.equal(status, 401);
    });

    it('refuses it as soon as the consumer is gone', async () => {
      consumers.remove('zoe');

      const { status } = await running.send({ request: request(consumers) });

      assert.equal(status, 401);
    });

    it('costs no promise', async () => {
      const verifier = buildVerifier(fakeClock(), async (_password, _salt, length) => new Uint8Array(length));
      const state = { verifier, log: fakeHost().log };
      const zero = `scrypt$16384$8$1$${'A'.repeat(22)}$${'A'.repeat(42)}A`.replace('16384', '1024');
      const known = fakeConsumers({
        username: 'zoe',
        credentials: [{ type: 'basic-auth', username: NAME, passwordHash: zero }],
      });

      const first = plugin.onRequest?.(fakeExchange(request(known)), config, state);
      assert.ok(first instanceof Promise);
      await first;

      assert.equal(plugin.onRequest?.(fakeExchange(request(known)), config, state), undefined);
    });
  });
});

describe('buildVerifier', () => {
  const stored = `scrypt$1024$8$1$${'B'.repeat(22)}$${'A'.repeat(43)}`;
  let costs: ScryptCost[];
  const derive: Derive = async (password, _salt, length, cost) => {
    costs.push(cost);
    return new Uint8Array(length).fill(password === 'right' ? 0 : 1);
  };

  beforeEach(() => {
    costs = [];
  });

  it('spends a derivation on an unknown user, and never believes it', async () => {
    const verifier = buildVerifier(fakeClock(), derive);

    const answers = [
      await verifier.verify({ username: 'nobody', password: 'right' }, undefined),
      await verifier.verify({ username: 'nobody', password: 'wrong' }, undefined),
    ];

    assert.deepEqual(answers, [false, false]);
    assert.deepEqual(costs.at(-1), { N: 16_384, r: 8, p: 1 });
  });

  it('remembers what was right for a minute, and nothing that was wrong', async () => {
    const clock = fakeClock();
    const verifier = buildVerifier(clock, derive);
    const verify = (password: string) => verifier.verify({ username: 'zoe', password }, stored);

    const first = await verify('right');
    clock.advance(59_999);
    const remembered = verify('right');
    clock.advance(1);
    const expired = verify('right');

    assert.deepEqual([first, remembered, await expired], [true, true, true]);
    assert.equal(costs.length, 2);
    assert.deepEqual([await verify('wrong'), await verify('wrong')], [false, false]);
    assert.equal(costs.length, 4);
  });

  it('keeps names and passwords apart', async () => {
    const verifier = buildVerifier(fakeClock(), async (_password, _salt, length) => new Uint8Array(length));

    await verifier.verify({ username: 'a:b', password: 'c' }, stored);

    assert.ok(verifier.verify({ username: 'a', password: 'b:c' }, stored) instanceof Promise);
    assert.ok(verifier.verify({ username: 'a:b', password: 'c' }, stored.replace('B', 'C')) instanceof Promise);
  });

  it('checks the same claim once for all who wait for it', async () => {
    const verifier = buildVerifier(fakeClock(), derive);

    const answers = await Promise.all(
      Array.from({ length: 200 }, () => verifier.verify({ username: 'zoe', password: 'right' }, stored)),
    );

    assert.deepEqual(new Set(answers), new Set([true]));
    assert.equal(costs.length, 1);
  });

  it('runs two checks at once, lets 64 wait and refuses the next with 503', async () => {
    let isRunning = 0;
    let most = 0;
    const slow: Derive = async (_password, _salt, length) => {
      isRunning += 1;
      most = Math.max(most, isRunning);
      await new Promise((resolve) => setImmediate(resolve));
      isRunning -= 1;
      return new Uint8Array(length);
    };
    const verifier = buildVerifier(fakeClock(), slow);

    const answers = await Promise.allSettled(
      Array.from({ length: 70 }, (_, at) => verifier.verify({ username: `u${at}`, password: 'p' }, stored)),
    );

    const refusals = answers.filter((answer) => answer.status === 'rejected');
    assert.equal(most, 2);
    assert.equal(refusals.length, 4);
    for (const { reason } of refusals)
      assert.deepEqual([reason.code, reason.headers], ['CANNOT_VERIFY', { 'retry-after': '1' }]);
    assert.equal(await verifier.verify({ username: 'later', password: 'p' }, stored), true);
  });
});
