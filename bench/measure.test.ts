// Tests what the benchmark makes of its windows: medians, sums, table, ratios.
// Must not put load on anything.
import assert from 'node:assert/strict';
import { buildResult, findMedian, type Sample } from './measure.ts';
import { buildTable, findRatio } from './report.ts';

function sampleOf(cpuMicrosPerUnit: number, failures = 0): Sample {
  return {
    units: 1000,
    failures,
    cpuMicrosPerUnit,
    unitsPerSecond: 500,
    coreShare: 0.5,
    p50Ms: 1,
    p99Ms: 2,
    rssBytes: 1_048_576,
  };
}

const TABLE = { unit: 'request', baselines: ['nginx', 'http-proxy'] };

describe('bench results', () => {
  it('takes the median, so that one disturbed window changes nothing', () => {
    assert.equal(findMedian([15, 90, 16]), 16);
    assert.equal(findMedian([10, 20]), 15);
  });

  it('adds requests and failures of all windows up', () => {
    const result = buildResult('plain', [sampleOf(30), sampleOf(32, 1), sampleOf(31)]);

    assert.deepEqual([result.units, result.failures, result.cpuMicrosPerUnit], [3000, 1, 31]);
  });

  it('shows the ratios to nginx and http-proxy', () => {
    const results = [buildResult('nginx', [sampleOf(15)]), buildResult('http-proxy', [sampleOf(100)])];

    const table = buildTable([...results, buildResult('full', [sampleOf(30)])], TABLE);

    assert.match(table, /\| full +\| +30\.0 \| +2\.00x \| +0\.30x \|/);
  });

  it('divides within a round, so that a machine that slows down changes no ratio', () => {
    const nginx = buildResult('nginx', [sampleOf(10), sampleOf(20), sampleOf(40)]);
    const full = buildResult('full', [sampleOf(20), sampleOf(40), sampleOf(80)]);

    assert.equal(findRatio(full, nginx), 2);
  });

  it('shows no ratio to a baseline that did not run', () => {
    assert.match(buildTable([buildResult('full', [sampleOf(30)])], TABLE), /\| full +\| +30\.0 \| +- \| +- \|/);
  });

  it('names what was counted, and how busy the core was', () => {
    const table = buildTable([buildResult('plain', [sampleOf(30)])], { unit: 'message', baselines: [] });

    assert.match(table, /^\| case +\| CPU µs\/message \| messages\/s \| core % \|/);
    assert.match(table, /\| plain \| +30\.0 \| +500 \| +50 \|/);
  });
});
