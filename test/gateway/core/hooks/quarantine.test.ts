// When a binding is put aside, tried again and trusted again; and what happens to requests meanwhile.
import assert from 'node:assert/strict';
import { Quarantine } from '../../../../gateway/core/hooks/quarantine.ts';
import type { LoadedPlugin } from '../../../../gateway/core/pipeline.ts';
import type { Exchange } from '../../../../gateway/core/plugin.ts';
import { makePlugin, startGateway, type TestGateway } from '../../../support/engine.ts';
import { makeApi, makeBinding, makeRoute, putAll } from '../../../support/entities.ts';
import { type Origin, startOrigin } from '../../../support/wire/origin.ts';

/** Fails every exchange until it is put aside; gives how many that took. */
function fill(quarantine: Quarantine, nowMs: number): number {
  for (let calls = 1; calls <= 100; calls++) if (quarantine.noteFailure({}, nowMs, calls)) return calls;
  return Number.POSITIVE_INFINITY;
}

describe('a quarantine', () => {
  it('puts aside after five failures, when at least half of the exchanges failed', () => {
    const allFail = new Quarantine(1);
    const fewFail = new Quarantine(1);
    const twoHooks = new Quarantine(2);

    const few = [10, 20, 30, 40, 50, 60].map((calls) => fewFail.noteFailure({}, calls, calls));
    const two = [1, 3, 5, 7, 9].map((calls) => twoHooks.noteFailure({}, calls, calls));

    assert.equal(fill(allFail, 0), 5);
    assert.deepEqual([few.includes(true), fewFail.isAside], [false, false]);
    assert.deepEqual(two, [false, false, false, false, true]);
  });

  it('is not held up by a failure some time before, while all went well in between', () => {
    const quarantine = new Quarantine(1);
    const callsPerMs = 0.1;
    quarantine.noteFailure({}, 0, 1);

    let failures = 0;
    let nowMs = 5_000;
    for (let isAside = false; !isAside; nowMs += 10) {
      isAside = quarantine.noteFailure({}, nowMs, nowMs * callsPerMs);
      failures += 1;
    }

    assert.equal(failures, 5);
  });

  it('does not mind how seldom it is called, as long as most of it fails', () => {
    const quarantine = new Quarantine(1);

    const verdicts = [0, 2_400, 4_800, 7_200, 9_600].map((nowMs, index) =>
      quarantine.noteFailure({}, nowMs, index + 1),
    );

    assert.deepEqual(verdicts, [false, false, false, false, true]);
  });

  it('forgets failures that lie apart', () => {
    const quarantine = new Quarantine(1);

    const verdicts = [0, 11_000, 22_000, 33_000, 44_000, 55_000, 66_000].map((nowMs, index) =>
      quarantine.noteFailure({}, nowMs, index + 1),
    );

    assert.deepEqual(new Set(verdicts), new Set([false]));
  });

  it('lets one exchange at a time try after the rest, with all of its hooks', () => {
    const quarantine = new Quarantine(1);
    fill(quarantine, 0);
    const [first, second] = [{}, {}];

    const early = quarantine.admits(first, 4_999);
    const due = quarantine.admits(first, 5_000);

    assert.deepEqual([early, due], [false, true]);
    assert.deepEqual([quarantine.admits(second, 5_001), quarantine.admits(first, 5_001)], [false, true]);
    assert.equal(quarantine.admits(second, 15_000), true, 'a probe that tells nothing does not block the way');
  });

  it('is over after three exchanges that went well', () => {
    const quarantine = new Quarantine(1);
    fill(quarantine, 0);

    for (let index = 0; index < 3; index++) {
      const probe = {};
      assert.equal(quarantine.admits(probe, 5_000 + index), true);
      assert.equal(quarantine.isAside, true);
      quarantine.noteSuccess(probe);
    }

    assert.equal(quarantine.admits({}, 5_003), true);
    assert.equal(quarantine.isAside, false);
    assert.equal(fill(quarantine, 5_004), 5);
  });

  it('rests twice as long after each try that failed, five minutes at most', () => {
    const quarantine = new Quarantine(1);
    fill(quarantine, 0);
    const rests: number[] = [];
    let nowMs = 0;

    for (let index = 0; index < 8; index++) {
      const from = nowMs;
      const probe = {};
      while (!quarantine.admits(probe, nowMs)) nowMs += 1_000;
      rests.push((nowMs - from) / 1_000);
      quarantine.noteFailure(probe, nowMs, 100 + index);
    }

    assert.deepEqual(rests, [5, 10, 20, 40, 80, 160, 300, 300]);
  });

  it('is not prolonged by what began before it', () => {
    const quarantine = new Quarantine(1);
    fill(quarantine, 0);

    quarantine.noteFailure({}, 4_000, 50);

    assert.equal(quarantine.admits({}, 5_000), true);
  });
});

describe('a plugin that fails every time', () => {
  let origin: Origin;
  let gateway: TestGateway;

  beforeEach(async () => {
    origin = await startOrigin();
  });

  afterEach(async () => {
    await gateway.close();
    await origin.close();
  });

  const broken = { message: 'secret detail' };
  const fails = (): never => {
    throw new Error(broken.message);
  };

  async function start(plugin: LoadedPlugin): Promise<void> {
    gateway = await startGateway({ plugins: [plugin] });
    const routes = [makeRoute({ id: 'r-1', paths: ['/'] })];
    const apis = [makeApi({ id: 'a-1', name: 'api', upstream: origin.url, routes })];
    await gateway.apply(putAll({ apis, bindings: [makeBinding({ id: 'b-1', plugin: plugin.manifest.name })] }));
  }

  async function ask(times: number): Promise<readonly (readonly [number, string])[]> {
    const answers: (readonly [number, string])[] = [];
    for (let index = 0; index < times; index++) {
      const response = await fetch(`${gateway.url}/thing?token=t0p`, { headers: { 'x-secret': 's3cret' } });
      const body = await response.text();
      const code = /"code":\s*"(\w+)"/.exec(body)?.[1] ?? body;
      answers.push([response.status, code]);
    }
    return answers;
  }

  it('is passed over when it fails open, and not even called', async () => {
    let calls = 0;
    const onRequest = (): never => {
      calls++;
      return fails();
    };
    await start(makePlugin('broken', { onRequest }, { failPolicy: 'open' }));

    const answers = await ask(8);

    assert.deepEqual(new Set(answers.map(([status]) => status)), new Set([200]));
    assert.equal(calls, 5);
  });

  it('closes the way when it fails closed, without troubling the upstream', async () => {
    await start(makePlugin('broken', { onResponse: fails }));

    const answers = await ask(7);

    assert.deepEqual(answers.slice(0, 5), new Array(5).fill([500, 'PLUGIN_FAILED']));
    assert.deepEqual(answers.slice(5), new Array(2).fill([503, 'PLUGIN_QUARANTINED']));
    assert.equal(origin.seen.length, 5);
  });

  it('leaves an incident with a request that met it, and none of its secrets', async () => {
    await start(makePlugin('broken', { onRequest: fails }));

    await ask(6);

    const [report] = gateway.engine.stats();
    assert.equal(report?.isAside, true);
    const { hook, reason, failures, calls, sample } = report?.incident ?? assert.fail('no incident');
    assert.deepEqual([hook, reason, failures, calls], ['onRequest', 'secret detail', 5, 5]);
    assert.deepEqual([sample.method, sample.path, sample.api], ['GET', '/thing', 'api']);
    assert.ok(sample.headers.includes('x-secret'));
    assert.doesNotMatch(JSON.stringify(sample), /t0p|s3cret/);
    assert.equal(gateway.log.filter(({ message }) => message.includes('set aside')).length, 1);
  });

  it('keeps a secret out of the reason where a plugin put one into its error', async () => {
    const onRequest = ({ request }: Exchange): never => {
      throw new Error(`no such user: ${request.headers.get('x-secret')}`);
    };
    await start(makePlugin('broken', { onRequest }));

    await ask(6);

    const [report] = gateway.engine.stats();
    assert.equal(report?.incident?.reason, 'its error repeats what the client sent: see the log of the node');
  });

  it('runs again at once with another configuration', async () => {
    let isBroken = true;
    const onRequest = (): void => {
      if (isBroken) fails();
    };
    await start(makePlugin('broken', { onRequest }));
    await ask(6);
    isBroken = false;

    await gateway.apply(putAll({ bindings: [makeBinding({ id: 'b-1', plugin: 'broken', order: 1 })] }));

    assert.deepEqual(await ask(1), [[200, 'ok']]);
  });
});
