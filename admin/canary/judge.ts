// Says by what was measured whether a version on trial should go on, take over, or go.
// Must not read or write anything.
import type { CanaryRule } from '../../gateway/core/model.ts';
import type { SideReport } from '../../gateway/core/setup/side-report.ts';

/** Is how both versions fared on all nodes. */
export interface CanaryFacts {
  readonly stable: SideReport;
  readonly canary: SideReport;
  /** Bindings on which it was put aside, or could not be set up. */
  readonly withdrawn: number;
  readonly runningSeconds: number;
}

/** Is what to do, and why. */
export interface CanaryVerdict {
  readonly decision: 'wait' | 'promote' | 'revert';
  readonly reason: string;
}

/** Milliseconds by which a hook may always be slower: of what takes microseconds, a ratio says nothing. */
const SLACK_MS = 1;

/** Judges a trial. */
export function judgeCanary(rule: CanaryRule, facts: CanaryFacts): CanaryVerdict {
  const { stable, canary, withdrawn, runningSeconds } = facts;
  if (withdrawn > 0) {
    return { decision: 'revert', reason: `it was set aside, or could not be set up, on ${withdrawn} bindings` };
  }
  if (canary.exchanges < rule.minExchanges) {
    return { decision: 'wait', reason: `${canary.exchanges} of ${rule.minExchanges} exchanges seen` };
  }
  const [own, usual] = [badPartOf(canary), badPartOf(stable)];
  if (own > usual + rule.maxErrorPart) {
    return {
      decision: 'revert',
      reason: `${percent(own)} of its exchanges failed or were refused, else ${percent(usual)}`,
    };
  }
  const [ownMs, usualMs] = [meanMsOf(canary), meanMsOf(stable)];
  if (stable.calls > 0 && ownMs > usualMs * rule.maxSlowdown + SLACK_MS) {
    return { decision: 'revert', reason: `its hooks take ${ownMs.toFixed(2)} ms, else ${usualMs.toFixed(2)} ms` };
  }
  if (rule.promoteAfterSeconds !== undefined && runningSeconds >= rule.promoteAfterSeconds) {
    return {
      decision: 'promote',
      reason: `${canary.exchanges} exchanges in ${Math.round(runningSeconds)} s went as well`,
    };
  }
  return { decision: 'wait', reason: `${canary.exchanges} exchanges went as well so far` };
}

/** An exchange of which several hooks fail counts several times: a trial is lost the sooner. */
function badPartOf({ exchanges, errors, timeouts, refusals }: SideReport): number {
  return exchanges === 0 ? 0 : (errors + timeouts + refusals) / exchanges;
}

function meanMsOf({ calls, totalMs }: SideReport): number {
  return calls === 0 ? 0 : totalMs / calls;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}
