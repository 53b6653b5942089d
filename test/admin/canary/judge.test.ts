// When a version on trial goes on, takes over, or goes.
import assert from 'node:assert/strict';
import { type CanaryFacts, judgeCanary } from '../../../admin/canary/judge.ts';
import type { CanaryRule } from '../../../gateway/core/model.ts';
import type { SideReport } from '../../../gateway/core/setup/side-report.ts';

const RULE: CanaryRule = { minExchanges: 100, maxErrorPart: 0.01, maxSlowdown: 2, promoteAfterSeconds: 60 };

function side(version: string, more: Partial<SideReport> = {}): SideReport {
  return { version, exchanges: 1000, calls: 2000, errors: 0, timeouts: 0, refusals: 0, totalMs: 200, ...more };
}

function decide(canary: Partial<SideReport>, more: Partial<CanaryFacts> = {}, rule: CanaryRule = RULE): string {
  const facts = { stable: side('1.0.0'), canary: side('1.1.0', canary), withdrawn: 0, runningSeconds: 30, ...more };
  return judgeCanary(rule, facts).decision;
}

describe('the judge of a canary', () => {
  it('waits for enough exchanges, whatever it saw of them', () => {
    assert.equal(decide({ exchanges: 99, errors: 99 }), 'wait');
  });

  it('reverts at once when the canary was set aside somewhere', () => {
    assert.equal(decide({ exchanges: 5, errors: 5 }, { withdrawn: 1 }), 'revert');
  });

  it('reverts what fails, times out or refuses more than the stable version, beyond the bound', () => {
    assert.deepEqual(
      [decide({ errors: 11 }), decide({ timeouts: 11 }), decide({ refusals: 11 }), decide({ errors: 10 })],
      ['revert', 'revert', 'revert', 'wait'],
    );
  });

  it('forgives what the stable version does too', () => {
    assert.equal(decide({ refusals: 300 }, { stable: side('1.0.0', { refusals: 295 }) }), 'wait');
  });

  it('reverts what is slower than the bound, and not for a fraction of a millisecond', () => {
    assert.deepEqual([decide({ totalMs: 2_000 }), decide({ totalMs: 3_000 })], ['wait', 'revert']);
  });

  it('does not compare times when nothing runs on the stable version', () => {
    const stable = side('1.0.0', { exchanges: 0, calls: 0, totalMs: 0 });
    assert.equal(decide({ totalMs: 50_000 }, { stable }), 'wait');
  });

  it('promotes after its time, never without exchanges, and never unasked', () => {
    const late = { runningSeconds: 60 };
    const { promoteAfterSeconds: _never, ...byHand } = RULE;

    assert.deepEqual(
      [decide({}, late), decide({ exchanges: 99 }, late), decide({}, { runningSeconds: 1e6 }, byHand)],
      ['promote', 'wait', 'wait'],
    );
  });

  it('says why', () => {
    const facts = { stable: side('1.0.0'), canary: side('1.1.0', { errors: 120 }), withdrawn: 0, runningSeconds: 1 };

    assert.equal(judgeCanary(RULE, facts).reason, '12.0 % of its exchanges failed or were refused, else 0.0 %');
  });
});
