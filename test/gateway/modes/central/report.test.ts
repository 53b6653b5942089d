// What a node says of itself: the sums over its workers, and nothing of what is well.
import assert from 'node:assert/strict';
import type { BindingReport, TargetReport } from '../../../../gateway/core/engine.ts';
import type { IncidentSample } from '../../../../gateway/core/hooks/quarantine.ts';
import { buildReport, mergeInstalls, mergeReports } from '../../../../gateway/modes/central/report.ts';

function target(port: number, isHealthy: boolean, inFlight = 0): TargetReport {
  return { upstream: 'pool', host: 'h', port, isHealthy, inFlight };
}

function cost(plugin: string, binding: string, calls: number): BindingReport {
  return {
    plugin,
    binding,
    calls,
    errors: 1,
    timeouts: 0,
    totalMs: calls / 2,
    isAside: false,
    incident: undefined,
    previous: undefined,
  };
}

const SAMPLE: IncidentSample = {
  exchange: 'e',
  method: 'GET',
  host: 'h',
  path: '/',
  api: 'a',
  route: 'r',
  consumer: undefined,
  headers: [],
};

describe('the report of a node', () => {
  it('names the targets that are in trouble or in use, and sums costs by plugin', () => {
    const idle: BindingReport = { ...cost('idle', 'b9', 0), errors: 0 };

    const report = buildReport(
      [target(1, true), target(2, false), target(3, true, 4)],
      [cost('limit', 'b1', 2), cost('limit', 'b2', 4), cost('log', 'b3', 6), idle],
    );

    assert.deepEqual(report.targets, [target(2, false), target(3, true, 4)]);
    assert.deepEqual(report.plugins, [
      { plugin: 'limit', calls: 6, errors: 2, timeouts: 0, totalMs: 3 },
      { plugin: 'log', calls: 6, errors: 1, timeouts: 0, totalMs: 3 },
    ]);
  });

  it('calls a target healthy when any worker can reach it', () => {
    const some = buildReport([target(1, false, 1), target(2, false)], [cost('log', 'b3', 6)]);
    const others = buildReport([target(1, true, 2), target(2, false)], [cost('log', 'b3', 4)]);
    const quiet = buildReport([target(1, true), target(2, false)], []);

    assert.deepEqual(mergeReports([some, others]).targets, [target(1, true, 3), target(2, false)]);
    assert.deepEqual(mergeReports([some, quiet]).targets, [target(1, true, 1), target(2, false)]);
    assert.deepEqual(mergeReports([some, others]).plugins, [
      { plugin: 'log', calls: 10, errors: 2, timeouts: 0, totalMs: 5 },
    ]);
  });

  it('tells of each binding the newest incident, and that it is aside when any worker put it aside', () => {
    const failed = (binding: string, atMs: number, isAside: boolean): BindingReport => ({
      ...cost('mask', binding, 9),
      isAside,
      incident: { atMs, hook: 'onResponse', reason: 'no', failures: 5, calls: 5, sample: SAMPLE },
    });

    const one = buildReport([], [failed('b1', 100, true), failed('b2', 300, false), cost('log', 'b3', 1)]);
    const other = buildReport([], [failed('b1', 200, false)]);

    const told = mergeReports([one, other]).incidents;
    assert.deepEqual(
      told.map(({ binding, atMs, isAside }) => [binding, atMs, isAside]),
      [
        ['b2', 300, false],
        ['b1', 200, true],
      ],
    );
  });

  it('says that the version before has the exchanges when it has them on any worker', () => {
    const failed = (atMs: number, isAside: boolean): BindingReport => ({
      ...cost('mask', 'b1', 9),
      isAside,
      incident: { atMs, hook: 'onResponse', reason: 'no', failures: 5, calls: 5, sample: SAMPLE },
      previous: { version: '1.0.0', isRunning: isAside, problem: null },
    });

    const told = mergeReports([buildReport([], [failed(100, true)]), buildReport([], [failed(200, false)])]).incidents;

    assert.deepEqual(told[0]?.previous, { version: '1.0.0', isRunning: true, problem: null });
  });

  it('says of an install what is worst on any worker', () => {
    const problem = { pointer: '', code: 'TEST', message: 'no' };
    const well = { plugin: 'acme/a', wanted: '1.1.0', running: '1.1.0', problem: null };
    const alone = { ...well, previous: { version: '1.0.0', problem } };
    const broken = { ...well, running: null, problem };

    assert.deepEqual(mergeInstalls([[well], [alone]]), [alone]);
    assert.deepEqual(mergeInstalls([[alone], [broken], [well]]), [broken]);
  });
});
