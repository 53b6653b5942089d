// The sums over all workers, in the keeper: a counter never falls because a worker died or was replaced.
// Must not talk to a worker or write a wire format.
import type { FamilyData, HistogramValue, SeriesData } from './metrics.ts';

/** Sums what workers export. */
export interface Totals {
  /** Takes what a worker exports now, in place of what it exported before. */
  replace(worker: string, families: readonly FamilyData[]): void;
  /** Keeps the last counts of a worker that is gone; its gauges go with it. */
  retire(worker: string): void;
  /** Gives the sums. */
  families(): readonly FamilyData[];
}

type Head = Omit<FamilyData, 'series'>;
type Table = Map<string, { readonly head: Head; readonly series: Map<string, SeriesData> }>;

/** Makes an empty sum. */
export function createTotals(): Totals {
  const retired: Table = new Map();
  const live = new Map<string, Table>();

  return {
    replace(worker, families) {
      const next: Table = new Map();
      addAll(next, families);
      foldLost(retired, live.get(worker), next);
      live.set(worker, next);
    },
    retire(worker) {
      foldLost(retired, live.get(worker), new Map());
      live.delete(worker);
    },
    families() {
      const sum: Table = new Map();
      for (const table of [retired, ...live.values()]) addAll(sum, listFamilies(table));
      return listFamilies(sum);
    },
  };
}

function listFamilies(table: Table): readonly FamilyData[] {
  return [...table.values()].map(({ head, series }) => ({ ...head, series: [...series.values()] }));
}

function addAll(table: Table, families: readonly FamilyData[]): void {
  for (const { series, ...head } of families) {
    const family = table.get(head.name) ?? { head, series: new Map<string, SeriesData>() };
    table.set(head.name, family);
    // Two versions of a plugin may disagree about a family; the first shape seen stands, else the sums would be nonsense.
    if (!isSameShape(family.head, head)) continue;
    for (const one of series) addSeries(family.series, one);
  }
}

function addSeries(series: Map<string, SeriesData>, one: SeriesData): void {
  const key = JSON.stringify(one.labels);
  const before = series.get(key);
  series.set(key, before === undefined ? one : { labels: one.labels, value: addValues(before.value, one.value) });
}

function isSameShape(one: Head, other: Head): boolean {
  return (
    one.type === other.type &&
    String(one.labelNames) === String(other.labelNames) &&
    String(one.buckets) === String(other.buckets)
  );
}

function addValues(one: number | HistogramValue, other: number | HistogramValue): number | HistogramValue {
  if (typeof one === 'number' || typeof other === 'number') return Number(one) + Number(other);
  return { counts: one.counts.map((count, index) => count + (other.counts[index] ?? 0)), sum: one.sum + other.sum };
}

/** Folds into `retired` the counts that `next` no longer holds: their series is gone, or began anew. */
function foldLost(retired: Table, previous: Table | undefined, next: Table): void {
  for (const [name, { head, series }] of previous ?? []) {
    if (head.type === 'gauge') continue;
    const successor = next.get(name)?.series;
    const lost = [...series].filter(([key, one]) => isLower(successor?.get(key)?.value, one.value));
    if (lost.length > 0) addAll(retired, [{ ...head, series: lost.map(([, one]) => one) }]);
  }
}

function isLower(now: number | HistogramValue | undefined, before: number | HistogramValue): boolean {
  return now === undefined || totalOf(now) < totalOf(before);
}

function totalOf(value: number | HistogramValue): number {
  return typeof value === 'number' ? value : value.counts.reduce((sum, count) => sum + count, 0);
}
