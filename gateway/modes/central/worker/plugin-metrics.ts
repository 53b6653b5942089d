// What every binding costs, as metrics: always on, whatever plugins are bound.
// Must not count: the engine does.
import type { BindingReport } from '../../../core/engine.ts';
import type { FamilyData, SeriesData } from '../../../ops/metrics.ts';

const LABELS = ['plugin', 'binding'] as const;

/** Gives calls, errors, time-outs and seconds of each binding, whether it is aside, and whether the version before has its exchanges. */
export function listPluginFamilies(reports: readonly BindingReport[]): readonly FamilyData[] {
  const family = (
    name: string,
    help: string,
    read: (report: BindingReport) => number,
    type: 'counter' | 'gauge' = 'counter',
    rows = reports,
  ): FamilyData => ({
    type,
    name,
    help,
    labelNames: LABELS,
    series: rows.map((report): SeriesData => ({ labels: [report.plugin, report.binding], value: read(report) })),
  });
  return [
    family('sallyport_plugin_calls_total', 'Hooks run.', ({ calls }) => calls),
    family('sallyport_plugin_errors_total', 'Hooks that threw or rejected.', ({ errors }) => errors),
    family('sallyport_plugin_timeouts_total', 'Hooks that did not settle in time.', ({ timeouts }) => timeouts),
    family('sallyport_plugin_seconds_total', 'Time spent in hooks.', ({ totalMs }) => totalMs / 1_000),
    family(
      'sallyport_plugin_aside',
      'Workers that have put the binding aside.',
      ({ isAside }) => Number(isAside),
      'gauge',
    ),
    family(
      'sallyport_plugin_previous',
      'Workers on which the version before has the exchanges of the binding.',
      ({ previous }) => Number(previous?.isRunning),
      'gauge',
      // Few plugins have this fail policy, and there may be ten thousand bindings.
      reports.filter(({ previous }) => previous !== undefined),
    ),
  ];
}
