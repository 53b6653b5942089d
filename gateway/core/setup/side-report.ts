// How two versions of a plugin fare side by side, as data.
// Must not count: whoever runs them does.
import type { Incident } from '../hooks/quarantine.ts';

/** Is how one version fares, over all bindings. */
export interface SideReport {
  readonly version: string;
  readonly exchanges: number;
  readonly calls: number;
  readonly errors: number;
  readonly timeouts: number;
  /** Exchanges that it ended by a refusal of its own. */
  readonly refusals: number;
  readonly totalMs: number;
}

/** Is how both fare. */
export interface SplitReport {
  readonly stable: SideReport;
  readonly canary: SideReport;
  /** Bindings on which the canary was put aside, or could not be set up: there the stable version has all exchanges. */
  readonly withdrawn: number;
  readonly incident: Incident | undefined;
}

/** Is how a version on trial fares. */
export interface CanaryReport extends SplitReport {
  readonly plugin: string;
  /** When the trial began, RFC 3339: of two trials of one version they tell which. */
  readonly startedAt: string;
}

/** Adds up what several workers or nodes saw of one trial. */
export function addCanaries(one: CanaryReport, other: CanaryReport): CanaryReport {
  const isNewer = (other.incident?.atMs ?? 0) > (one.incident?.atMs ?? 0);
  return {
    ...one,
    stable: addSides(one.stable, other.stable),
    canary: addSides(one.canary, other.canary),
    withdrawn: one.withdrawn + other.withdrawn,
    incident: isNewer ? other.incident : one.incident,
  };
}

/** Adds up how one version fares in several places. */
export function addSides(one: SideReport, other: SideReport): SideReport {
  return {
    version: one.version,
    exchanges: one.exchanges + other.exchanges,
    calls: one.calls + other.calls,
    errors: one.errors + other.errors,
    timeouts: one.timeouts + other.timeouts,
    refusals: one.refusals + other.refusals,
    totalMs: one.totalMs + other.totalMs,
  };
}
