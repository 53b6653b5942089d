// The Metrics port: counters and histograms in plain memory, cheap enough for every request, exported as plain data.
// Must not write a wire format: that is exposition.ts, in another process.
import type { Counter, Histogram, MetricFamily, Metrics } from '../core/plugin.ts';

/** Is a histogram's content. `counts` has one more item than there are buckets: what fell beyond the last. */
export interface HistogramValue {
  readonly counts: readonly number[];
  readonly sum: number;
}

/** Is one series as data. */
export interface SeriesData {
  readonly labels: readonly string[];
  readonly value: number | HistogramValue;
}

/** Is one family as data. `buckets` only on a histogram. */
export interface FamilyData {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly buckets?: readonly number[];
  readonly series: readonly SeriesData[];
}

/** Is the Metrics port of one process. */
export interface MetricsRegistry extends Metrics {
  /** Gives all families in pieces of a bounded number of series, so that writing one out never holds up traffic. */
  exportMetrics(): Generator<FamilyData>;
}

/** Most series of one family; label values come from traffic and must not fill the memory. */
export const MAX_SERIES: number = 10_000;
/** Series in one exported piece: about a millisecond of JSON. */
const SERIES_PER_PIECE = 500;
const OTHER = 'other';
// A legal label value may hold any character but this one is never in a name, path or status.
const LABEL_SEPARATOR = '\u0000';
/** @see https://prometheus.io/docs/concepts/data_model/ */
const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

class CounterSeries implements Counter {
  value = 0;

  add(amount: number): void {
    // A counter never falls; the comparison also keeps NaN out.
    if (amount > 0) this.value += amount;
  }
}

class HistogramSeries implements Histogram {
  /** The sum, then the counts: mostly in one line of the cache. With a series for each of ten thousand routes none is there yet. */
  readonly #cells: number[];
  readonly #buckets: readonly number[];

  constructor(buckets: readonly number[]) {
    this.#buckets = buckets;
    this.#cells = new Array<number>(buckets.length + 2).fill(0);
  }

  get value(): HistogramValue {
    const [sum = 0, ...counts] = this.#cells;
    return { counts, sum };
  }

  observe(value: number): void {
    if (Number.isNaN(value)) return;
    const buckets = this.#buckets;
    const cells = this.#cells;
    let index = 0;
    while (index < buckets.length && value > (buckets[index] ?? 0)) index++;
    cells[0] = (cells[0] ?? 0) + value;
    cells[index + 1] = (cells[index + 1] ?? 0) + 1;
  }
}

interface FamilyHead {
  readonly type: 'counter' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly buckets: readonly number[];
}

class Family<Series extends CounterSeries | HistogramSeries> implements MetricFamily<Series> {
  readonly head: FamilyHead;
  readonly all: Map<string, { readonly labels: readonly string[]; readonly series: Series }> = new Map();
  readonly #build: () => Series;

  constructor(head: FamilyHead, build: () => Series) {
    this.head = head;
    this.#build = build;
  }

  series(...labels: readonly string[]): Series {
    const key = labels.length === 1 ? (labels[0] ?? '') : labels.join(LABEL_SEPARATOR);
    return this.all.get(key)?.series ?? this.#add(key, labels);
  }

  #add(key: string, labels: readonly string[]): Series {
    const { name, labelNames } = this.head;
    if (labels.length !== labelNames.length) {
      throw new TypeError(`metric ${name} takes ${labelNames.length} label values, not ${labels.length}`);
    }
    if (this.all.size >= MAX_SERIES) {
      const other = labels.map(() => OTHER);
      const otherKey = other.join(LABEL_SEPARATOR);
      const shared = this.all.get(otherKey)?.series;
      if (shared !== undefined) return shared;
      return this.#store(otherKey, other);
    }
    return this.#store(key, labels);
  }

  #store(key: string, labels: readonly string[]): Series {
    const series = this.#build();
    this.all.set(key, { labels: labels.map(String), series });
    return series;
  }
}

/** Makes the registry of one process. */
export function createMetrics(): MetricsRegistry {
  const families = new Map<string, Family<CounterSeries> | Family<HistogramSeries>>();

  return {
    counter(name, help, labelNames) {
      const head: FamilyHead = { type: 'counter', name, help, labelNames: [...labelNames], buckets: [] };
      checkHead(head, families.get(name)?.head);
      return findOrAdd(families, head, () => new Family(head, () => new CounterSeries()));
    },
    histogram(name, help, labelNames, buckets) {
      const head: FamilyHead = { type: 'histogram', name, help, labelNames: [...labelNames], buckets: [...buckets] };
      checkHead(head, families.get(name)?.head);
      return findOrAdd(families, head, () => new Family(head, () => new HistogramSeries(head.buckets)));
    },
    *exportMetrics() {
      for (const family of families.values()) yield* exportFamily(family);
    },
  };
}

type AnyFamily = Family<CounterSeries> | Family<HistogramSeries>;

function findOrAdd<Found extends AnyFamily>(
  families: Map<string, AnyFamily>,
  head: FamilyHead,
  build: () => Found,
): Found {
  const known = families.get(head.name);
  // checkHead has seen to it that a family of this name has this type.
  if (known !== undefined) return known as Found;
  const family = build();
  families.set(head.name, family);
  return family;
}

function checkHead(head: FamilyHead, known: FamilyHead | undefined): void {
  if (!METRIC_NAME.test(head.name)) throw new TypeError(`${JSON.stringify(head.name)} is no metric name`);
  const wrong = head.labelNames.find((label) => !LABEL_NAME.test(label) || label.startsWith('__') || label === 'le');
  if (wrong !== undefined) throw new TypeError(`metric ${head.name}: ${JSON.stringify(wrong)} is no label name`);
  if (
    !head.buckets.every((bound, index, all) => Number.isFinite(bound) && (index === 0 || bound > (all[index - 1] ?? 0)))
  ) {
    throw new TypeError(`metric ${head.name}: buckets must be finite and rise`);
  }
  if (known !== undefined && shapeOf(known) !== shapeOf(head)) {
    throw new TypeError(`metric ${head.name} exists with another type, other labels or other buckets`);
  }
}

function shapeOf(head: FamilyHead): string {
  return JSON.stringify([head.type, head.labelNames, head.buckets]);
}

function* exportFamily(family: AnyFamily): Generator<FamilyData> {
  const { type, name, help, labelNames, buckets } = family.head;
  const head = { type, name, help, labelNames, ...(type === 'histogram' ? { buckets } : {}) };
  let series: SeriesData[] = [];
  for (const entry of family.all.values()) {
    series.push({ labels: entry.labels, value: entry.series.value });
    if (series.length === SERIES_PER_PIECE) {
      yield { ...head, series };
      series = [];
    }
  }
  if (series.length > 0 || family.all.size === 0) yield { ...head, series };
}
