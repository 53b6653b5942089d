// Facts about metrics: registry, sums over workers, text format.
// Must not start a process.
import assert from 'node:assert/strict';
import { writeExposition } from '../../../gateway/ops/exposition.ts';
import { createMetrics, type FamilyData, MAX_SERIES } from '../../../gateway/ops/metrics.ts';
import { createTotals } from '../../../gateway/ops/totals.ts';

function counterData(value: number, label = 'a'): FamilyData[] {
  return [{ type: 'counter', name: 'hits', help: 'Hits.', labelNames: ['api'], series: [{ labels: [label], value }] }];
}

describe('metrics registry', () => {
  it('gives the same series for the same labels', () => {
    const hits = createMetrics().counter('hits', 'Hits.', ['api', 'status']);

    assert.equal(hits.series('a', '2xx'), hits.series('a', '2xx'));
    assert.notEqual(hits.series('a', '2xx'), hits.series('a', '5xx'));
  });

  it('gives the same family for the same name, and refuses another shape under it', () => {
    const metrics = createMetrics();
    const first = metrics.counter('hits', 'Hits.', ['api']);

    assert.equal(metrics.counter('hits', 'Hits.', ['api']), first);
    assert.throws(() => metrics.counter('hits', 'Hits.', ['route']), /another type, other labels/);
    assert.throws(() => metrics.histogram('hits', 'Hits.', ['api'], [1]), /another type/);
  });

  it('puts what comes after the ten thousandth series into `other`', () => {
    const metrics = createMetrics();
    const hits = metrics.counter('hits', 'Hits.', ['api']);
    for (let index = 0; index < MAX_SERIES; index++) hits.series(`api-${index}`).add(1);

    hits.series('late').add(2);
    hits.series('later').add(3);

    const series = [...metrics.exportMetrics()].flatMap((family) => family.series);
    assert.equal(series.length, MAX_SERIES + 1);
    assert.deepEqual(series.at(-1), { labels: ['other'], value: 5 });
  });

  it('never lets a counter fall', () => {
    const metrics = createMetrics();
    const series = metrics.counter('hits', 'Hits.', []).series();

    series.add(2);
    series.add(-1);
    series.add(Number.NaN);

    assert.deepEqual([...metrics.exportMetrics()][0]?.series, [{ labels: [], value: 2 }]);
  });

  it('counts an observation on the edge of a bucket into that bucket', () => {
    const metrics = createMetrics();
    const series = metrics.histogram('seconds', 'Seconds.', [], [0.1, 1]).series();

    for (const value of [0.1, 0.5, 1, 7, Number.NaN]) series.observe(value);

    assert.deepEqual([...metrics.exportMetrics()][0]?.series, [{ labels: [], value: { counts: [1, 2, 1], sum: 8.6 } }]);
  });

  for (const [name, labels] of [
    ['bad name', []],
    ['9lives', []],
    ['fine', ['bad-label']],
    ['fine', ['__internal']],
    ['fine', ['le']],
  ] as const) {
    it(`refuses metric ${JSON.stringify(name)} with labels ${JSON.stringify(labels)}`, () => {
      assert.throws(() => createMetrics().counter(name, 'Help.', labels), TypeError);
    });
  }
});

describe('totals', () => {
  it('sums what the workers count', () => {
    const totals = createTotals();

    totals.replace('1', [...counterData(3), ...counterData(1, 'b')]);
    totals.replace('2', counterData(4));

    assert.deepEqual(totals.families()[0]?.series, [
      { labels: ['a'], value: 7 },
      { labels: ['b'], value: 1 },
    ]);
  });

  it('keeps the counts of a worker that died and of the one that came after it', () => {
    const totals = createTotals();
    totals.replace('1', counterData(3));

    totals.retire('1');
    totals.replace('1', counterData(2));

    assert.deepEqual(totals.families()[0]?.series, [{ labels: ['a'], value: 5 }]);
  });

  it('keeps a count that began anew inside a living worker', () => {
    const totals = createTotals();
    totals.replace('1', counterData(10));

    totals.replace('1', counterData(1));
    totals.replace('1', counterData(2));

    assert.deepEqual(totals.families()[0]?.series, [{ labels: ['a'], value: 12 }]);
  });

  it('forgets the gauges of a worker that died', () => {
    const totals = createTotals();
    totals.replace('1', [
      { type: 'gauge', name: 'rss', help: 'Bytes.', labelNames: [], series: [{ labels: [], value: 9 }] },
    ]);

    totals.retire('1');

    assert.deepEqual(totals.families(), []);
  });
});

describe('exposition', () => {
  it('writes counters, gauges and cumulative histograms with escaped labels', async () => {
    const text = await writeExposition([
      ...counterData(3, 'say "hi"\n'),
      { type: 'gauge', name: 'workers', help: 'Workers.', labelNames: [], series: [{ labels: [], value: 2 }] },
      {
        type: 'histogram',
        name: 'seconds',
        help: 'Seconds.',
        labelNames: [],
        buckets: [0.1, 1],
        series: [{ labels: [], value: { counts: [1, 2, 1], sum: 8.6 } }],
      },
    ]);

    assert.deepEqual(
      text.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
      [
        'hits{api="say \\"hi\\"\\n"} 3',
        'workers 2',
        'seconds_bucket{le="0.1"} 1',
        'seconds_bucket{le="1"} 3',
        'seconds_bucket{le="+Inf"} 4',
        'seconds_sum 8.6',
        'seconds_count 4',
      ],
    );
    assert.match(text, /^# HELP hits Hits\.\n# TYPE hits counter$/m);
  });
});
