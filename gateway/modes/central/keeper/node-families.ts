// What a keeper tells about its node as metrics: revisions, workers, memory, event loops.
// Must not ask anybody: it gets facts and gives families.
import type { Certificate } from '../../../core/model.ts';
import { findEndMs } from '../../../core/tls/certificate.ts';
import type { FamilyData, SeriesData } from '../../../ops/metrics.ts';

/** Is what there is to tell of a node. */
export interface NodeFacts {
  readonly nodeName: string;
  readonly version: string;
  readonly servedRevision: number;
  readonly offeredRevision: number;
  readonly rejectedSnapshots: number;
  readonly workerDeaths: number;
  /** Hooks that were cut, by plugin. */
  readonly cuts: ReadonlyMap<string, number>;
  readonly workersServing: number;
  readonly isFromDisk: boolean;
  readonly hasIsolatesOff: boolean;
  readonly certificates: Iterable<Certificate>;
  readonly processes: readonly { readonly name: string; readonly loopDelayMs: number; readonly rssBytes: number }[];
}

/** Gives the families of a node. */
export function listNodeFamilies(facts: NodeFacts): readonly FamilyData[] {
  const processes = (read: (process: NodeFacts['processes'][number]) => number): readonly SeriesData[] =>
    facts.processes.map((process) => ({ labels: [process.name], value: read(process) }));
  return [
    gauge(
      'sallyport_node_info',
      'Is 1; the labels say which node this is.',
      ['node', 'version'],
      [{ labels: [facts.nodeName, facts.version], value: 1 }],
    ),
    gauge(
      'sallyport_revision',
      'Revision that all workers serve, and the newest offered.',
      ['state'],
      [
        { labels: ['served'], value: facts.servedRevision },
        { labels: ['offered'], value: facts.offeredRevision },
      ],
    ),
    gauge(
      'sallyport_snapshot_from_disk',
      'Is 1 while the last good copy on disk serves.',
      [],
      [{ labels: [], value: facts.isFromDisk ? 1 : 0 }],
    ),
    counter('sallyport_snapshot_rejected_total', 'Revisions refused.', facts.rejectedSnapshots),
    gauge(
      'sallyport_certificate_not_after_seconds',
      'Unix time at which a certificate, or an issuer sent with it, ends; the soonest.',
      ['certificate'],
      listEnds(facts.certificates),
    ),
    gauge('sallyport_workers', 'Workers that serve.', [], [{ labels: [], value: facts.workersServing }]),
    gauge(
      'sallyport_isolates_off',
      'Is 1 while packages of tier isolate run in processes: a worker died with isolates open.',
      [],
      [{ labels: [], value: facts.hasIsolatesOff ? 1 : 0 }],
    ),
    counter('sallyport_worker_deaths_total', 'Workers that ended unasked.', facts.workerDeaths),
    {
      ...counter('sallyport_plugin_cuts_total', 'Hooks that did not return and were cut.', 0),
      labelNames: ['plugin'],
      series: Array.from(facts.cuts, ([plugin, value]) => ({ labels: [plugin], value })),
    },
    gauge(
      'sallyport_event_loop_delay_seconds',
      'Delay of the event loop in the last second, 99th percentile.',
      ['process'],
      processes(({ loopDelayMs }) => loopDelayMs / 1_000),
    ),
    gauge(
      'sallyport_resident_memory_bytes',
      'Resident memory.',
      ['process'],
      processes(({ rssBytes }) => rssBytes),
    ),
  ];
}

/** Most certificates that are shown; those that end first are the ones to watch. */
const MAX_ENDS = 1_000;

function listEnds(certificates: Iterable<Certificate>): readonly SeriesData[] {
  const ends = Array.from(certificates, (one) => ({ name: one.name, endMs: findEndMs(one) }));
  ends.sort((a, b) => a.endMs - b.endMs);
  return ends.slice(0, MAX_ENDS).map(({ name, endMs }) => ({ labels: [name], value: endMs / 1_000 }));
}

function gauge(name: string, help: string, labelNames: readonly string[], series: readonly SeriesData[]): FamilyData {
  return { type: 'gauge', name, help, labelNames, series };
}

function counter(name: string, help: string, value: number): FamilyData {
  return { type: 'counter', name, help, labelNames: [], series: [{ labels: [], value }] };
}
