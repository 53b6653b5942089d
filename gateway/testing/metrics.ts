// Metrics that a test can read.
// Must not bound series: a test sees every one.
import type { Metrics } from '../core/plugin.ts';

/** Is what a plugin counted, readable. */
export interface TestMetrics extends Metrics {
  /** Gives the sum of a counter's series; 0 when it was never touched. */
  total(name: string, ...labelValues: readonly string[]): number;
  /** Gives the values that a histogram's series observed, in order. */
  observed(name: string, ...labelValues: readonly string[]): readonly number[];
}

/** Builds metrics in memory. */
export function fakeMetrics(): TestMetrics {
  const observations = new Map<string, number[]>();
  const record =
    (name: string, labelNames: readonly string[]) =>
    (...labelValues: readonly string[]) => {
      if (labelValues.length !== labelNames.length) {
        throw new TypeError(`${name} has the labels ${labelNames.join(', ')}; got ${labelValues.length} values`);
      }
      const key = JSON.stringify([name, ...labelValues]);
      const values = observations.get(key) ?? [];
      observations.set(key, values);
      const push = (value: number): void => {
        values.push(value);
      };
      return { add: push, observe: push };
    };
  const observed: TestMetrics['observed'] = (...key) => observations.get(JSON.stringify(key)) ?? [];
  return {
    counter: (name, _help, labelNames) => ({ series: record(name, labelNames) }),
    histogram: (name, _help, labelNames) => ({ series: record(name, labelNames) }),
    observed,
    total: (...key) => observed(...key).reduce((sum, value) => sum + value, 0),
  };
}
