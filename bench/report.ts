// Turns results into a table with the ratios to the baselines, and names the machine.
// Must not measure.
import { cpus, loadavg, release, totalmem } from 'node:os';
import { type CaseResult, findMedian } from './measure.ts';

const BYTES_PER_MIB = 1_048_576;

/** Above this load average something else runs: it takes the cores, and worse, the caches. */
const QUIET_LOAD = 0.5;

/** Says what a table is about. */
export interface TableOptions {
  /** What the load counted, in the singular. */
  readonly unit: string;
  /** The cases that all others are divided by, when they ran. */
  readonly baselines: readonly string[];
}

/** Says that the machine is busy with something else; undefined = it is quiet. */
export function findNoise(): string | undefined {
  const [load = 0] = loadavg();
  return load <= QUIET_LOAD ? undefined : `NOT QUIET: load average ${load.toFixed(1)} before the start`;
}

/** Describes the machine in one line. */
export function describeMachine(): string {
  const [cpu] = cpus();
  const memoryGib = Math.round(totalmem() / BYTES_PER_MIB / 1024);
  return `${cpu?.model.trim() ?? 'unknown CPU'}, ${cpus().length} cores, ${memoryGib} GiB, Linux ${release()}, Node ${process.version}`;
}

/**
 * Divides round by round and takes the median: a machine that gets slower between two rounds, as shared ones do,
 * slows both sides of each quotient.
 */
export function findRatio(result: CaseResult, base: CaseResult): number {
  return findMedian(
    result.samples.map((sample, round) => {
      const baseMicros = base.samples[round]?.cpuMicrosPerUnit ?? Number.NaN;
      return sample.cpuMicrosPerUnit / baseMicros;
    }),
  );
}

function formatRatio(result: CaseResult, base: CaseResult | undefined): string {
  return base === undefined ? '-' : `${findRatio(result, base).toFixed(2)}x`;
}

/** Builds the table, in Markdown that is also readable as it is. */
export function buildTable(results: readonly CaseResult[], { unit, baselines }: TableOptions): string {
  const bases = baselines.map((name) => results.find((result) => result.name === name));
  const rows = results.map((result) => [
    result.name,
    result.cpuMicrosPerUnit.toFixed(1),
    ...bases.map((base) => formatRatio(result, base)),
    result.unitsPerSecond.toFixed(0),
    (result.coreShare * 100).toFixed(0),
    result.p50Ms.toFixed(2),
    result.p99Ms.toFixed(2),
    (result.rssBytes / BYTES_PER_MIB).toFixed(0),
  ]);
  const ratios = baselines.map((name) => `/ ${name}`);
  return formatTable([
    ['case', `CPU µs/${unit}`, ...ratios, `${unit}s/s`, 'core %', 'p50 ms', 'p99 ms', 'RSS MiB'],
    ...rows,
  ]);
}

/** Formats cells as a Markdown table: the first row is its header, the first column is text and the others are figures. */
export function formatTable([header = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const formatRow = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? `${'-'.repeat(width + 2)}|` : `${'-'.repeat(width + 1)}:|`)).join('')}`;
  return [formatRow(header), rule, ...rows.map(formatRow)].join('\n');
}
