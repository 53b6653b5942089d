// The wire of a worker as metrics: what is open on both sides, what was switched, what was refused.
// Must not count: listeners and the upstream client do.
import type { HttpListener } from '../../../http/listener.ts';
import type { UpstreamConnections } from '../../../http/upstream/client.ts';
import type { WireTally } from '../../../http/wire-tally.ts';
import type { FamilyData, SeriesData } from '../../../ops/metrics.ts';

/** Is what there is to tell. */
export interface WireFacts {
  readonly tally: WireTally;
  /** Of each listener. */
  readonly clients: readonly ReturnType<HttpListener['countConnections']>[];
  readonly targets: UpstreamConnections;
}

/** Gives the families of the wire. */
export function listWireFamilies({ tally, clients, targets }: WireFacts): readonly FamilyData[] {
  const protocols = ['http/1.1', 'h2', 'none'] as const;
  const open = protocols.map((name) => one([name], sum(clients.map((counts) => counts[name]))));
  const pooled = Object.entries(targets).flatMap(([protocol, { used, idle }]) => [
    one([protocol, 'used'], used),
    one([protocol, 'idle'], idle),
  ]);
  const refusals = [...tally.refusals].map(([code, count]) => one([code], count));
  const turnedAway = Object.entries(tally.turnedAway).map(([reason, count]) => one([reason], count));
  return [
    family('gauge', 'sallyport_client_connections', 'Open connections with clients.', ['protocol'], open),
    family('gauge', 'sallyport_upstream_connections', 'Open connections to targets.', ['protocol', 'state'], pooled),
    family(
      'gauge',
      'sallyport_upgrades_open',
      'Upgraded connections that are open.',
      [],
      [one([], tally.openUpgrades)],
    ),
    family('counter', 'sallyport_upgrades_total', 'Connections upgraded.', [], [one([], tally.upgrades)]),
    family('counter', 'sallyport_refusals_total', 'What was refused before it was a request.', ['code'], refusals),
    family('counter', 'sallyport_turned_away_total', 'Connections closed at once.', ['reason'], turnedAway),
  ];
}

function family(
  type: 'gauge' | 'counter',
  name: string,
  help: string,
  labelNames: readonly string[],
  series: readonly SeriesData[],
): FamilyData {
  return { type, name, help, labelNames, series };
}

function one(labels: readonly string[], value: number): SeriesData {
  return { labels, value };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
