// What a worker tells its keeper about itself, and how the reports of all workers become the report of the node.
// Must not measure: the engine does. Must not grow with the configuration: every change of it sends the node's report.
import type { BindingReport, TargetReport } from '../../core/engine.ts';

/** Is what a plugin cost, over all its bindings. What single bindings cost is among the metrics. */
export type PluginReport = Omit<BindingReport, 'binding'>;

/** Is what a worker reports, and in the same shape what a node does. */
export interface NodeReport {
  /** Only targets that are in trouble or in use: the others are well, and nothing is on them. */
  readonly targets: readonly TargetReport[];
  /** Only plugins that have run. */
  readonly plugins: readonly PluginReport[];
}

/** Builds the report of a worker. */
export function buildReport(targets: readonly TargetReport[], bindings: readonly BindingReport[]): NodeReport {
  return { targets: targets.filter(isWorthTelling), plugins: sumByPlugin(bindings) };
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
  return { targets: merged.filter(isWorthTelling), plugins: sumByPlugin(all.flatMap((report) => report.plugins)) };
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
