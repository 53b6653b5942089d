// Gathers what nodes say of a shadow.
// Must not judge it.
import type { ShadowPin } from '../../gateway/core/model.ts';
import type { SideReport } from '../../gateway/core/setup/side-report.ts';
import { NOTHING_COMPARED } from '../../gateway/core/shadow/comparison.ts';
import { addShadows, type ShadowFacts, type ShadowReport } from '../../gateway/core/shadow/report.ts';
import type { NodeRow } from '../store/nodes.ts';

/** Names a shadow. */
export interface Shadow {
  readonly plugin: string;
  /** Of the version that is installed. */
  readonly version: string;
  readonly shadow: Pick<ShadowPin, 'version' | 'startedAt'>;
}

/** Adds up what live nodes say of this shadow and no other. */
export function readShadow(
  { plugin, version, shadow }: Shadow,
  nodes: readonly Pick<NodeRow, 'isLive' | 'health'>[],
): ShadowFacts {
  const reports = nodes
    .filter(({ isLive }) => isLive)
    .flatMap(({ health }) => health.shadows ?? [])
    .filter((report) => report.plugin === plugin && report.startedAt === shadow.startedAt);
  const none: ShadowReport = {
    ...NOTHING_COMPARED,
    plugin,
    startedAt: shadow.startedAt,
    installed: nothing(version),
    candidate: nothing(shadow.version),
    dropped: 0,
    skipped: 0,
    withdrawn: 0,
  };
  const { plugin: _plugin, startedAt: _startedAt, ...facts } = reports.reduce(addShadows, none);
  return facts;
}

function nothing(version: string): SideReport {
  return { version, exchanges: 0, calls: 0, errors: 0, timeouts: 0, refusals: 0, totalMs: 0 };
}
