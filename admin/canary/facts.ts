// Gathers what nodes say of a trial.
// Must not judge it.
import type { CanaryPin } from '../../gateway/core/model.ts';
import { addCanaries, type CanaryReport, type SideReport } from '../../gateway/core/setup/side-report.ts';
import type { NodeRow } from '../store/nodes.ts';
import type { CanaryFacts } from './judge.ts';

/** Names a trial. */
export interface Trial {
  readonly plugin: string;
  /** Of the version that is installed. */
  readonly version: string;
  readonly canary: CanaryPin;
}

/** Adds up what live nodes say of this trial and no other. */
export function readCanary(
  { plugin, version, canary }: Trial,
  nodes: readonly Pick<NodeRow, 'isLive' | 'health'>[],
  nowMs: number,
): CanaryFacts & Pick<CanaryReport, 'incident'> {
  const reports = nodes
    .filter(({ isLive }) => isLive)
    .flatMap(({ health }) => health.canaries ?? [])
    .filter((report) => report.plugin === plugin && report.startedAt === canary.startedAt);
  const none: CanaryReport = {
    plugin,
    startedAt: canary.startedAt,
    stable: nothing(version),
    canary: nothing(canary.version),
    withdrawn: 0,
    incident: undefined,
  };
  const { stable, canary: own, withdrawn, incident } = reports.reduce(addCanaries, none);
  return { stable, canary: own, withdrawn, incident, runningSeconds: (nowMs - Date.parse(canary.startedAt)) / 1_000 };
}

function nothing(version: string): SideReport {
  return { version, exchanges: 0, calls: 0, errors: 0, timeouts: 0, refusals: 0, totalMs: 0 };
}
