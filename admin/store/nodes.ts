// Reads what the nodes report about themselves.
// Must not write it: each node owns its row.
import type { Knex } from 'knex';
import type { CanaryReport } from '../../gateway/core/setup/side-report.ts';
import type { ShadowReport } from '../../gateway/core/shadow/report.ts';

/** A node that has not reported for so long is gone, in seconds. */
const LIVE_SECONDS = 15;

/** Is what a node reports. */
export interface NodeRow {
  readonly id: string;
  readonly name: string;
  readonly mode: string;
  readonly version: string;
  readonly startedAt: string;
  readonly lastSeenAt: string;
  readonly isLive: boolean;
  /** The revision it runs. */
  readonly revision: number;
  /** The newest revision it was offered. */
  readonly offeredRevision: number;
  /** Why it does not run the offered one. */
  readonly refusal: { readonly revision: number; readonly problems: unknown; readonly at: string } | null;
  readonly workers: unknown;
  readonly health: {
    readonly targets?: readonly TargetHealth[];
    readonly plugins?: readonly PluginHealth[];
    readonly incidents?: readonly PluginIncident[];
    readonly canaries?: readonly CanaryReport[];
    readonly shadows?: readonly ShadowReport[];
  };
  /** What runs of each install, and why that is not what is wanted. */
  readonly plugins: readonly NodePlugin[];
}

/** Is how an install fares on one node. */
export interface NodePlugin {
  readonly plugin: string;
  readonly wanted: string;
  /** Null = it does not run; its bindings act by fail policy. */
  readonly running: string | null;
  readonly problem: NodeProblem | null;
  /** What takes over when it is set aside, or does not run; absent = nothing, by its fail policy. */
  readonly previous?: {
    readonly version: string;
    readonly problem: NodeProblem | null;
    /** Says that it runs in the place of what is installed; absent = said by an older node. */
    readonly isRunning?: boolean;
  };
}

interface NodeProblem {
  readonly pointer: string;
  readonly code: string;
  readonly message: string;
}

/** Is how one node sees one target. */
export interface TargetHealth {
  readonly upstream: string;
  readonly host: string;
  readonly port: number;
  readonly isHealthy: boolean;
  readonly inFlight?: number;
}

/** Is what one node measured of one plugin. */
export interface PluginHealth {
  readonly plugin: string;
  readonly calls?: number;
  readonly errors?: number;
  readonly timeouts?: number;
  readonly totalMs?: number;
}

/** Is the last time that one node put a binding of a plugin aside. */
export interface PluginIncident {
  readonly plugin: string;
  readonly binding: string;
  readonly isAside: boolean;
}

/** Lists the nodes by name; those not seen for a day are left out. */
export async function listNodes(knex: Knex): Promise<NodeRow[]> {
  const result = await knex.raw(
    `SELECT *, last_seen_at > now() - make_interval(secs => ?) AS is_live
     FROM nodes WHERE last_seen_at > now() - interval '1 day' ORDER BY name, id`,
    [LIVE_SECONDS],
  );
  const rows: readonly Readonly<Record<string, unknown>>[] = result.rows;
  return rows.map((row) => ({
    id: String(row['id']),
    name: String(row['name']),
    mode: String(row['mode']),
    version: String(row['version']),
    startedAt: (row['started_at'] as Date).toISOString(),
    lastSeenAt: (row['last_seen_at'] as Date).toISOString(),
    isLive: row['is_live'] === true,
    revision: Number(row['revision']),
    offeredRevision: Number(row['offered_revision']),
    refusal: row['refusal'] as NodeRow['refusal'],
    workers: row['workers'],
    plugins: row['plugins'] as NodeRow['plugins'],
    health: row['health'] as NodeRow['health'],
  }));
}
