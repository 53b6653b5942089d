// What a worker tells its keeper about itself, and how the reports of all workers become the report of the node.
// Must not measure: the engine does.
import type { BindingReport, TargetReport } from '../../core/engine.ts';

/** Is what a worker reports, and in the same shape what a node does. */
export interface NodeReport {
  readonly targets: readonly TargetReport[];
  readonly plugins: readonly BindingReport[];
}

/** Merges the reports of all workers: costs add up, and a target is healthy when any worker can reach it. */
export function mergeReports(reports: Iterable<NodeReport>): NodeReport {
  const targets = new Map<string, TargetReport>();
  const plugins = new Map<string, BindingReport>();
  for (const report of reports) {
    for (const target of report.targets) addTarget(targets, target);
    for (const plugin of report.plugins) addPlugin(plugins, plugin);
  }
  return { targets: [...targets.values()], plugins: [...plugins.values()] };
}

function addTarget(targets: Map<string, TargetReport>, target: TargetReport): void {
  const key = `${target.upstream} ${target.host} ${target.port}`;
  const before = targets.get(key);
  const isHealthy = target.isHealthy || before?.isHealthy === true;
  targets.set(key, { ...target, isHealthy, inFlight: target.inFlight + (before?.inFlight ?? 0) });
}

function addPlugin(plugins: Map<string, BindingReport>, one: BindingReport): void {
  const before = plugins.get(one.binding);
  if (before === undefined) {
    plugins.set(one.binding, one);
    return;
  }
  plugins.set(one.binding, {
    ...one,
    calls: one.calls + before.calls,
    errors: one.errors + before.errors,
    timeouts: one.timeouts + before.timeouts,
    totalMs: one.totalMs + before.totalMs,
  });
}
