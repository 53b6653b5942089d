// When a circuit opens, whom it lets through then, and when it closes.
// Must not know exchanges.
import assert from 'node:assert/strict';
import { Circuit, type CircuitOptions, type Pass, type Verdict } from './circuit.ts';

const OPTIONS: CircuitOptions = {
  windowMs: 10_000,
  minimumRequests: 4,
  failurePercent: 50,
  slowPercent: 75,
  openMs: 5_000,
  maxOpenMs: 12_000,
  probes: 2,
};

/** Is a circuit with its own time. */
class Bench {
  nowMs = 1_000_000;
  readonly circuit: Circuit;

  constructor(options: Partial<CircuitOptions> = {}) {
    this.circuit = new Circuit({ ...OPTIONS, ...options });
  }

  enter(): Pass {
    const pass = this.circuit.enter(this.nowMs);
    assert.ok(typeof pass === 'object', `refused for ${pass} ms`);
    return pass;
  }

  /** Sends requests one after the other; gives the state that the last one turned the circuit to. */
  send(...verdicts: readonly Verdict[]): string | undefined {
    let turned: string | undefined;
    for (const verdict of verdicts) turned = this.circuit.leave(this.enter(), verdict, this.nowMs)?.state;
    return turned;
  }
}

describe('Circuit', () => {
  it('opens when the share of failures is reached, not before', () => {
    const bench = new Bench();

    assert.equal(bench.send('good', 'good', 'good', 'failed', 'failed'), undefined);
    assert.equal(bench.send('failed'), 'open');
    assert.equal(bench.circuit.enter(bench.nowMs), 5_000);
  });

  it('says nothing from fewer requests than the minimum', () => {
    const bench = new Bench();

    assert.equal(bench.send('failed', 'failed', 'failed'), undefined);
    assert.equal(bench.send('failed'), 'open');
  });

  it('opens on slow requests by their own share', () => {
    const bench = new Bench();

    assert.equal(bench.send('slow', 'slow', 'good', 'good'), undefined);
    assert.equal(bench.send('slow', 'slow', 'slow'), undefined);
    assert.equal(bench.send('slow'), 'open');
  });

  it('forgets what has left the window, and only that', () => {
    const bench = new Bench();
    bench.send('failed', 'failed', 'failed');

    bench.nowMs += 9_000;
    assert.equal(bench.circuit.isAtRest(bench.nowMs), false);
    bench.nowMs += 1_001;

    assert.equal(bench.circuit.isAtRest(bench.nowMs), true);
    assert.equal(bench.send('failed', 'failed', 'failed'), undefined);
    bench.nowMs += 9_000;
    assert.equal(bench.send('failed'), 'open');
  });

  it('counts rightly after a silence of many windows', () => {
    const bench = new Bench();
    bench.send('failed', 'failed', 'failed');

    bench.nowMs += 1e9;

    assert.equal(bench.send('good', 'good', 'good', 'failed'), undefined);
    assert.equal(bench.send('failed', 'failed'), 'open');
  });

  it('takes requests that say nothing for nothing', () => {
    const bench = new Bench();

    assert.equal(bench.send('none', 'none', 'none', 'none', 'none'), undefined);
    assert.equal(bench.circuit.isAtRest(bench.nowMs), true);
  });

  it('lets so many probes through at a time, and closes when all succeed', () => {
    const bench = new Bench();
    bench.send('failed', 'failed', 'failed', 'failed');

    bench.nowMs += 4_999;
    assert.equal(bench.circuit.enter(bench.nowMs), 1);
    bench.nowMs += 1;
    const [first, second] = [bench.enter(), bench.enter()];
    assert.equal(typeof bench.circuit.enter(bench.nowMs), 'number');

    assert.equal(bench.circuit.leave(first, 'good', bench.nowMs), undefined);
    assert.equal(typeof bench.circuit.enter(bench.nowMs), 'number', 'a probe that succeeded makes no room for another');
    assert.equal(bench.circuit.leave(second, 'good', bench.nowMs)?.state, 'closed');
    assert.equal(bench.circuit.isAtRest(bench.nowMs), true);
    assert.equal(bench.send('failed', 'failed', 'failed'), undefined, 'it begins anew');
  });

  it('gives the permit of a probe that says nothing to the next', () => {
    const bench = new Bench({ probes: 1 });
    bench.send('failed', 'failed', 'failed', 'failed');
    bench.nowMs += 5_000;

    assert.equal(bench.send('none'), undefined);
    assert.equal(bench.send('good'), 'closed');
  });

  for (const verdict of ['failed', 'slow'] as const) {
    it(`opens for longer each time that a probe is ${verdict}, up to a bound, and is forgiven when it closes`, () => {
      const bench = new Bench({ probes: 1 });
      bench.send('failed', 'failed', 'failed', 'failed');
      const waits: unknown[] = [];
      for (let round = 0; round < 4; round++) {
        const waitMs = bench.circuit.enter(bench.nowMs);
        waits.push(waitMs);
        bench.nowMs += Number(waitMs);
        bench.send(round === 3 ? 'good' : verdict);
      }

      assert.deepEqual(waits, [5_000, 10_000, 12_000, 12_000]);
      bench.send('failed', 'failed', 'failed', 'failed');
      assert.equal(bench.circuit.enter(bench.nowMs), 5_000);
    });
  }

  it('does not listen to requests from before it turned', () => {
    const bench = new Bench({ probes: 1 });
    const early = Array.from({ length: 5 }, () => bench.enter());
    bench.send('failed', 'failed', 'failed', 'failed');
    bench.nowMs += 5_000;
    const probe = bench.enter();

    for (const pass of early) assert.equal(bench.circuit.leave(pass, 'failed', bench.nowMs), undefined);

    assert.equal(bench.circuit.leave(probe, 'good', bench.nowMs)?.state, 'closed');
    for (const pass of early) assert.equal(bench.circuit.leave(pass, 'failed', bench.nowMs), undefined);
    assert.equal(bench.circuit.isAtRest(bench.nowMs), true);
  });

  it('takes a good request back when its body breaks off, also of a probe', () => {
    const bench = new Bench({ failurePercent: 100, probes: 2 });
    const passes = Array.from({ length: 4 }, () => bench.enter());
    for (const pass of passes) bench.circuit.leave(pass, 'good', bench.nowMs);

    const turns = passes.map((pass) => bench.circuit.breakOff(pass, bench.nowMs)?.state);

    assert.deepEqual(turns, [undefined, undefined, undefined, 'open']);
    bench.nowMs += 5_000;
    const probe = bench.enter();
    bench.circuit.leave(probe, 'good', bench.nowMs);
    assert.equal(bench.circuit.breakOff(probe, bench.nowMs)?.openMs, 10_000);
  });

  it('tells what turned it', () => {
    const bench = new Bench();
    bench.send('good', 'slow', 'failed');

    const turn = bench.circuit.leave(bench.enter(), 'failed', bench.nowMs);

    assert.deepEqual(turn, { state: 'open', openMs: 5_000, requests: 4, failures: 2, slow: 1 });
  });
});
