// A version in the shadow of another: that no exchange feels it, and that nothing gets out.
// Must not test what it is compared in: shadow.test.ts does.
import assert from 'node:assert/strict';
import { type Exchange, GatewayError, type Host } from '../../../../gateway/core/plugin.ts';
import { makeBinding, putAll } from '../../../support/entities.ts';
import { type Hooks, type ShadowedGateway, stamp, startShadowed } from '../../../support/market/shadowed.ts';
import { until } from '../../../support/until.ts';

const KEY = 'sk-live-4f9a77c2e1';

describe('a version in the shadow, kept apart', () => {
  let shadowed: ShadowedGateway;

  afterEach(() => shadowed.close());

  async function start(...parts: Parameters<typeof startShadowed>): Promise<void> {
    shadowed = await startShadowed(...parts);
  }

  const never: Hooks = { onRequest: () => new Promise(() => undefined) };
  const fails = (): never => {
    throw new TypeError('a bug of the new version');
  };

  for (const [what, hook, outcome] of [
    ['throws', fails, 'failed'],
    [
      'refuses',
      () => {
        throw new GatewayError('FORBIDDEN', 'not you');
      },
      'refused',
    ],
    ['answers', (exchange: Exchange) => exchange.respond(418, {}, 'tea'), 'answered'],
  ] as const) {
    it(`harms nothing when it ${what}, and is seen to`, async () => {
      await start(stamp('1.0.0'), { onRequest: hook });

      const answers = await shadowed.askAll(4);

      assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
      const { differing, kinds, examples } = await shadowed.settled(4);
      assert.deepEqual([differing, kinds['outcome changed']], [4, 4]);
      assert.deepEqual(examples[0]?.differences[0], {
        ...{ place: 'outcome', kind: 'changed' },
        ...{ installed: 'went on', candidate: outcome },
      });
    });
  }

  it('is set aside when it keeps failing, and the installed version goes on', async () => {
    await start(stamp('1.0.0'), { onRequest: fails });

    for (let round = 0; round < 20; round++) await shadowed.ask();

    await until(() => shadowed.report().withdrawn === 1);
    const { candidate, installed } = shadowed.report();
    assert.ok(candidate.errors >= 5 && candidate.errors < 20, `${candidate.errors} errors`);
    assert.equal(installed.errors, 0);
    assert.equal(shadowed.gateway.engine.stats()[0]?.isAside, false);
  });

  it('holds up nobody when it never settles, and is dropped when too much waits for it', async () => {
    await start(stamp('1.0.0'), never, { timeoutMs: 60_000 });

    const answers = await shadowed.askAll(200);

    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    const { dropped, compared } = shadowed.report();
    assert.equal(compared, 0);
    assert.ok(dropped >= 200 - 64 && dropped < 200, `${dropped} dropped`);
  });

  it('is bounded in time', async () => {
    await start({}, never, { timeoutMs: 20 });

    await shadowed.ask();

    const { candidate, kinds } = await shadowed.settled(1);
    assert.equal(candidate.timeouts, 1);
    assert.deepEqual(kinds, { 'outcome changed': 1 });
  });

  it('shows no value that repeats a credential of the client, or a secret of the install', async () => {
    const leaks: Hooks = {
      onRequest({ request }) {
        const key = request.headers.get('apikey') ?? '';
        request.headers.set('x-copy', key);
        request.headers.set('x-coded', Buffer.from(`user:${key}`).toString('base64'));
        request.headers.set(`x-${key}`, '1');
        request.headers.set('x-signed', 'install-secret-1');
        request.headers.set('x-plain', 'fine');
      },
    };
    await start({}, leaks, { secrets: ['install-secret-1'] });

    await shadowed.ask({ headers: { apikey: KEY } }, `/?token=${KEY}`);

    const report = await shadowed.settled(1);
    const text = JSON.stringify(report);
    assert.ok(
      !text.includes(KEY) && !text.includes('install-secret') && !text.includes(Buffer.from(KEY).toString('base64')),
    );
    const shown = report.examples[0]?.differences.map(({ name, candidate }) => [name, candidate]);
    assert.deepEqual(shown, [
      ['x-coded', 'withheld'],
      ['x-copy', 'withheld'],
      ['x-plain', 'fine'],
      ['x-signed', 'withheld'],
      ['withheld', '1'],
    ]);
  });

  it('reaches no network, keeps its own memory, and uses up no limit', async () => {
    const tried: unknown[] = [];
    const uses: Hooks = {
      setup: (_config, host: Host) => host,
      async onRequest(_exchange, _config, state) {
        const host = state as Host;
        const limiter = host.limits.limiter({
          name: 'l',
          windows: [{ requests: 1, windowMs: 60_000 }],
          store: 'local',
        });
        await host.kv.set('seen', 'by the candidate');
        tried.push(await host.fetch('http://127.0.0.1:1/').catch((error: Error) => error.message));
        tried.push((await limiter.take('one')).isAllowed);
      },
    };
    const kept: unknown[] = [];
    const keeps: Hooks = {
      setup: (_config, host: Host) => host,
      async onRequest(_exchange, _config, state) {
        kept.push(await (state as Host).kv.get('seen'));
      },
    };
    await start(keeps, uses);

    for (let round = 0; round < 3; round++) await shadowed.ask();

    await shadowed.settled(3);
    assert.deepEqual(kept, [undefined, undefined, undefined]);
    const once = ['a version in the shadow reaches no network', true];
    assert.deepEqual(tried, [...once, ...once, ...once]);
  });

  it('is not blamed for what it has not done when its binding changes', async () => {
    const waits: ((error: Error) => void)[] = [];
    await start({}, { onRequest: () => new Promise((_, reject) => waits.push(reject)) });
    await shadowed.ask();
    await until(() => waits.length === 1);

    await shadowed.gateway.apply(putAll({ bindings: [makeBinding({ id: 'b-1', plugin: 'acme', config: { a: 1 } })] }));
    for (const reject of waits) reject(new Error('closed'));

    const { candidate, skipped, differing, withdrawn } = await shadowed.settled(1);
    assert.deepEqual([candidate.errors, skipped, differing, withdrawn], [0, 1, 0, 0]);
  });

  it('is left out where it cannot be set up', async () => {
    await start(stamp('1.0.0'), { setup: fails, onRequest: fails });

    const answer = await shadowed.ask();

    assert.equal(answer.headers.get('x-version'), '1.0.0');
    assert.deepEqual([shadowed.report().withdrawn, shadowed.report().candidate.exchanges], [1, 0]);
  });
});
