// Tests what the benchmark makes of its windows: medians, sums, table, ratios.
// Must not put load on anything.
import assert from 'node:assert/strict';
import { buildResult, findMedian, type Sample } from './measure.ts';
import { buildTable, findRatio } from './report.ts';

function sampleOf(cpuMicrosPerRequest: number, failures = 0): Sample {
  return {
    requests: 1000,
    failures,
    cpuMicrosPerRequest,
    requestsPerSecond: 500,
    p50Ms: 1,
    p99Ms: 2,
    rssBytes: 1_048_576,
  };
}

describe('bench results', () => {
  it('takes the median, so that one disturbed window changes nothing', () => {
    assert.equal(findMedian([15, 90, 16]), 16);
    assert.equal(findMedian([10, 20]), 15);
  });

  it('adds requests and failures of all windows up', () => {
    const result = buildResult('plain', [sampleOf(30), sampleOf(32, 1), sampleOf(31)]);

    assert.deepEqual([result.requests, result.failures, result.cpuMicrosPerRequest], [3000, 1, 31]);
  });

  it('shows the ratios to nginx and http-proxy', () => {
    const results = [buildResult('nginx', [sampleOf(15)]), buildResult('http-proxy', [sampleOf(100)])];

    const table = buildTable([...results, buildResult('full', [sampleOf(30)])]);

    assert.match(table, /\| full +\| +30\.0 \| +2\.00x \| +0\.30x \|/);
  });

  it('divides within a round, so that a machine that slows down changes no ratio', () => {
    const nginx = buildResult('nginx', [sampleOf(10), sampleOf(20), sampleOf(40)]);
    const full = buildResult('full', [sampleOf(20), sampleOf(40), sampleOf(80)]);

    assert.equal(findRatio(full, nginx), 2);
  });

  it('shows no ratio to a baseline that did not run', () => {
    assert.match(buildTable([buildResult('full', [sampleOf(30)])]), /\| full +\| +30\.0 \| +- \| +- \|/);
  });
});
