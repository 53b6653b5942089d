// What a worker tells its keeper about itself, and how the reports of all workers become the report of the node.
// Must not measure: the engine does. Must not grow with the configuration: every change of it sends the node's report.
import type { BindingReport, TargetReport } from '../../core/engine.ts';
import type { PreviousReport } from '../../core/hooks/previous.ts';
import type { Incident } from '../../core/hooks/quarantine.ts';
import type { InstallReport } from '../../core/setup/runs.ts';
import { addCanaries, type CanaryReport } from '../../core/setup/side-report.ts';
import { addShadows, type ShadowReport } from '../../core/shadow/report.ts';

/** Is what a plugin cost, over all its bindings. What single bindings cost is among the metrics. */
export type PluginReport = Omit<BindingReport, 'binding' | 'isAside' | 'incident' | 'previous'>;

/** Is the last time that a binding was put aside. */
export interface IncidentReport extends Incident {
  readonly plugin: string;
  readonly binding: string;
  /** Says that it still is. */
  readonly isAside: boolean;
  /** What has its exchanges meanwhile; absent = its fail policy is another than `previous`. */
  readonly previous?: PreviousReport;
}

/** Most incidents that are told, the newest. */
const MAX_INCIDENTS = 20;

/** Is what a worker reports, and in the same shape what a node does. */
export interface NodeReport {
  /** Only targets that are in trouble or in use: the others are well, and nothing is on them. */
  readonly targets: readonly TargetReport[];
  /** Only plugins that have run. */
  readonly plugins: readonly PluginReport[];
  /** One for each binding that failed too often at some time, the newest first. */
  readonly incidents: readonly IncidentReport[];
  readonly canaries: readonly CanaryReport[];
  readonly shadows: readonly ShadowReport[];
}

/** Builds the report of a worker. */
export function buildReport(
  targets: readonly TargetReport[],
  bindings: readonly BindingReport[],
  canaries: readonly CanaryReport[] = [],
  shadows: readonly ShadowReport[] = [],
): NodeReport {
  return {
    targets: targets.filter(isWorthTelling),
    plugins: sumByPlugin(bindings),
    incidents: listIncidents(bindings),
    canaries,
    shadows,
  };
}

/** Merges the reports of all workers: costs add up, and a target is healthy when any worker can reach it. */
export function mergeReports(reports: Iterable<NodeReport>): NodeReport {
  const all = [...reports];
  const targets = new Map<string, { readonly target: TargetReport; complaints: number; inFlight: number }>();
  for (const target of all.flatMap((report) => report.targets)) {
    const key = `${target.upstream} ${target.host} ${target.port}`;
    const known = targets.get(key) ?? { target, complaints: 0, inFlight: 0 };
    known.complaints += target.isHealthy ? 0 : 1;
    known.inFlight += target.inFlight;
    targets.set(key, known);
  }
  const merged = Array.from(targets.values(), ({ target, complaints, inFlight }) => ({
    ...target,
    isHealthy: complaints < all.length,
    inFlight,
  }));
  return {
    targets: merged.filter(isWorthTelling),
    plugins: sumByPlugin(all.flatMap((report) => report.plugins)),
    incidents: mergeIncidents(all.flatMap((report) => report.incidents)),
    canaries: mergeTrials(
      all.flatMap((report) => report.canaries),
      addCanaries,
    ),
    shadows: mergeTrials(
      all.flatMap((report) => report.shadows),
      addShadows,
    ),
  };
}

function listIncidents(bindings: readonly BindingReport[]): readonly IncidentReport[] {
  const incidents = bindings.flatMap(({ plugin, binding, isAside, incident, previous }) =>
    incident === undefined ? [] : [{ plugin, binding, isAside, ...(previous && { previous }), ...incident }],
  );
  return mergeIncidents(incidents);
}

/** The newest of each binding stands for it; it is aside when any worker has put it aside, and so with the version before. */
function mergeIncidents(incidents: readonly IncidentReport[]): readonly IncidentReport[] {
  const byBinding = new Map<string, IncidentReport>();
  for (const incident of [...incidents].sort((a, b) => a.atMs - b.atMs)) {
    const older = byBinding.get(incident.binding);
    const isAside = incident.isAside || older?.isAside === true;
    byBinding.set(incident.binding, { ...incident, isAside, ...mergePrevious(incident, older) });
  }
  return [...byBinding.values()].sort((a, b) => b.atMs - a.atMs).slice(0, MAX_INCIDENTS);
}

function mergePrevious(
  { previous }: IncidentReport,
  older: IncidentReport | undefined,
): Pick<IncidentReport, 'previous'> {
  if (previous === undefined) return {};
  return { previous: { ...previous, isRunning: previous.isRunning || older?.previous?.isRunning === true } };
}

/** Workers that have not heard of a new trial yet still speak of the one before. */
function mergeTrials<Report extends { readonly plugin: string; readonly startedAt: string }>(
  reports: readonly Report[],
  add: (one: Report, other: Report) => Report,
): readonly Report[] {
  const merged = new Map<string, Report>();
  for (const one of reports) {
    const key = `${one.plugin} ${one.startedAt}`;
    const known = merged.get(key);
    merged.set(key, known ? add(known, one) : one);
  }
  return [...merged.values()];
}

/** Merges what workers say of installs: the one with the worst problem speaks for the others. */
export function mergeInstalls(reports: Iterable<readonly InstallReport[]>): readonly InstallReport[] {
  const merged = new Map<string, InstallReport>();
  for (const report of [...reports].flat()) {
    const known = merged.get(report.plugin);
    if (known === undefined || rateTrouble(report) > rateTrouble(known)) merged.set(report.plugin, report);
  }
  return [...merged.values()].sort((a, b) => (a.plugin < b.plugin ? -1 : 1));
}

/** What runs comes before what would take over. */
function rateTrouble({ problem, previous }: InstallReport): number {
  if (problem !== null) return 2;
  return previous && previous.problem !== null ? 1 : 0;
}

function isWorthTelling({ isHealthy, inFlight }: TargetReport): boolean {
  return !isHealthy || inFlight > 0;
}

function sumByPlugin(costs: readonly PluginReport[]): readonly PluginReport[] {
  const sums = new Map<string, PluginReport>();
  for (const { plugin, calls, errors, timeouts, totalMs } of costs) {
    if (calls + errors + timeouts === 0) continue;
    const sum = sums.get(plugin) ?? { plugin, calls: 0, errors: 0, timeouts: 0, totalMs: 0 };
    sums.set(plugin, {
      plugin,
      calls: sum.calls + calls,
      errors: sum.errors + errors,
      timeouts: sum.timeouts + timeouts,
      totalMs: sum.totalMs + totalMs,
    });
  }
  return [...sums.values()];
}
