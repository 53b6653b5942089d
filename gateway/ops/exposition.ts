// Families as Prometheus text, written by prom-client.
// Must not collect: it gets plain data and gives text.
import prometheus from 'prom-client';
import type { FamilyData, HistogramValue, SeriesData } from './metrics.ts';

/** Names the media type of the text. */
export const EXPOSITION_TYPE: string = prometheus.Registry.PROMETHEUS_CONTENT_TYPE;

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** Writes families in the Prometheus text format. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
export async function writeExposition(families: readonly FamilyData[]): Promise<string> {
  const registry = new prometheus.Registry();
  for (const family of families) {
    const metric = {
      name: family.name,
      help: family.help,
      type: family.type,
      aggregator: 'sum',
      values: family.series.flatMap((series) => listSamples(family, series)),
    };
    // The registry asks only for `name` and `get()`, as prom-client's own aggregation of cluster workers relies on;
    // its types know nothing but its own classes.
    registry.registerMetric({ ...metric, get: async () => metric } as unknown as prometheus.Metric);
  }
  return registry.metrics();
}

function listSamples(family: FamilyData, series: SeriesData): readonly Sample[] {
  const labels = Object.fromEntries(family.labelNames.map((name, index) => [name, series.labels[index] ?? '']));
  if (typeof series.value === 'number') return [{ labels, value: series.value }];
  return listBuckets(family, labels, series.value);
}

function listBuckets(
  family: FamilyData,
  labels: Readonly<Record<string, string>>,
  { counts, sum }: HistogramValue,
): readonly Sample[] {
  let count = 0;
  const buckets = counts.map((inBucket, index): Sample => {
    count += inBucket;
    const le = family.buckets?.[index] ?? '+Inf';
    return { labels: { ...labels, le }, value: count, metricName: `${family.name}_bucket` };
  });
  return [
    ...buckets,
    { labels, value: sum, metricName: `${family.name}_sum` },
    { labels, value: count, metricName: `${family.name}_count` },
  ];
}
