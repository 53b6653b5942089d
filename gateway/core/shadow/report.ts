// How a version in the shadow fares, as data.
// Must not count: whoever runs it does.
import { addSides, type SideReport } from '../setup/side-report.ts';
import { addComparisons, type Comparison } from './comparison.ts';

/** Is how a version in the shadow fares beside the installed one. */
export interface ShadowFacts extends Comparison {
  /** Only hooks of exchanges that the candidate ran in as well. */
  readonly installed: SideReport;
  readonly candidate: SideReport;
  /** Exchanges that were not looked at: there was too much to do. */
  readonly dropped: number;
  /** Exchanges that cannot be compared: the candidate wanted a body that nobody had read, or the installed version was late. */
  readonly skipped: number;
  /** Bindings on which the candidate was put aside, or could not be set up. */
  readonly withdrawn: number;
}

/** Is how one shadow fares. */
export interface ShadowReport extends ShadowFacts {
  readonly plugin: string;
  /** When it began, RFC 3339: of two shadows of one version they tell which. */
  readonly startedAt: string;
}

/** Adds up what several workers or nodes saw of one shadow. */
export function addShadows(one: ShadowReport, other: ShadowReport): ShadowReport {
  return {
    ...one,
    ...addComparisons(one, other),
    installed: addSides(one.installed, other.installed),
    candidate: addSides(one.candidate, other.candidate),
    dropped: one.dropped + other.dropped,
    skipped: one.skipped + other.skipped,
    withdrawn: one.withdrawn + other.withdrawn,
  };
}
