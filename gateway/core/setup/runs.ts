// What runs of each install: the pinned version, the one before while that does not load, or nothing.
// Must not refuse a revision: a package that fails harms its own bindings on this node, and is reported.
import type { DocumentState } from '../config.ts';
import { editMap } from '../document/layered-map.ts';
import type { Problem } from '../errors.ts';
import type { Install } from '../model.ts';
import type { LoadedPlugin } from '../pipeline.ts';
import type { ShadowReport } from '../shadow/report.ts';
import { inSlices } from '../slicer.ts';
import { REVOKED } from './previous.ts';
import type { CanaryReport } from './side-report.ts';
import type { LoadedInstall, PluginSource } from './source.ts';

/** Is what runs of one install. */
export interface InstallRun {
  readonly install: Install;
  /** Undefined = nothing: its bindings act by fail policy. */
  readonly loaded: LoadedPlugin | undefined;
  /** Why that is not what was installed. */
  readonly problem: Problem | undefined;
  /** Which bindings could not be set up, by their ids. */
  readonly faults: ReadonlyMap<string, SetUpFault>;
  /** Counts the snapshots in use that hold it; its code is given back when the last lets go. */
  holders: number;
}

/** Says why a binding could not be set up with what was loaded. */
export interface SetUpFault {
  readonly problem: Problem;
  /** Says that the version before has the binding. */
  readonly isCovered: boolean;
}

/** Holds runs by the name of their plugin. Snapshots between which no install changed share one set. */
export type RunSet = ReadonlyMap<string, InstallRun>;

/** Is how an install fares here. */
export interface InstallReport {
  readonly plugin: string;
  readonly wanted: string;
  /** Version that runs; null = none. */
  readonly running: string | null;
  readonly problem: Problem | null;
  /** Where the version that runs does so. */
  readonly tier?: NonNullable<LoadedPlugin['tier']>;
  /** Only where the fail policy is `previous`: what would take over here, and why it could not. */
  readonly previous?: {
    readonly version: string;
    readonly problem: Problem | null;
    /** Says that it runs in the place of the installed one, which does not: on all bindings, or on some. */
    readonly isRunning: boolean;
  };
}

/** Says what to load, and beside what. */
export interface RunChanges {
  readonly before: DocumentState;
  readonly after: DocumentState;
  readonly installs: ReadonlySet<string>;
  /** Are the runs in force. */
  readonly known: RunSet;
  readonly source: PluginSource | undefined;
}

/** Is the runs after a change. */
export interface ChangedRuns {
  readonly runs: RunSet;
  /** Must be held by a snapshot, or be given to `closeRuns`. */
  readonly fresh: readonly InstallRun[];
  /** By plugin, what runs in force and may go on when bindings cannot be set up with what was loaded. */
  readonly fallbacks: ReadonlyMap<string, LoadedPlugin>;
}

/** Loads what changed, all at once. */
export async function changeRuns(
  base: RunSet,
  { before, after, installs, known, source }: RunChanges,
): Promise<ChangedRuns> {
  const runs = editMap(base);
  for (const id of installs) runs.delete(before.installs.get(id)?.plugin ?? '');
  const wanted = [...installs].flatMap((id) => after.installs.get(id) ?? []);
  const fallbacks = new Map<string, LoadedPlugin>();
  const load = async (install: Install): Promise<InstallRun> => {
    const running = known.get(install.plugin)?.loaded;
    const result = (await source?.load(install, running)) ?? NOT_LOADED;
    const last = result.mayGoOn ? running : undefined;
    if (last !== undefined) fallbacks.set(install.plugin, last);
    const loaded = result.loaded ?? result.instead;
    return loaded ? buildRun(install, loaded, result.problem) : continueRun(install, last, result.problem);
  };
  const fresh = await Promise.all(wanted.map(load));
  for (const run of fresh) runs.set(run.install.plugin, run);
  return { runs: await inSlices(runs.build()), fresh, fallbacks };
}

const NOT_LOADED: LoadedInstall = {
  loaded: undefined,
  problem: { pointer: '', code: 'UNSUPPORTED', message: 'expected a gateway that loads packages' },
  mayGoOn: true,
};
const NO_FAULTS: InstallRun['faults'] = new Map();

function buildRun(
  install: Install,
  loaded: LoadedPlugin | undefined,
  problem: Problem | undefined,
  faults: InstallRun['faults'] = NO_FAULTS,
): InstallRun {
  return { install, loaded, problem, faults, holders: 0 };
}

/** Makes the run that goes on with what ran before, or with nothing. */
export function continueRun(
  install: Install,
  last: LoadedPlugin | undefined,
  problem: Problem | undefined,
  faults?: InstallRun['faults'],
): InstallRun {
  last?.lease?.take();
  return buildRun(install, last, problem, faults);
}

/** Makes the run that says how the set-up of these bindings went; of other bindings it says what was said before. */
export function noteFaults(run: InstallRun, tried: ReadonlySet<string>, found: InstallRun['faults']): InstallRun {
  const kept = [...run.faults].filter(([id]) => !tried.has(id));
  if (kept.length === run.faults.size && found.size === 0) return run;
  run.loaded?.lease?.take();
  return { ...run, faults: new Map([...kept, ...found]), holders: 0 };
}

/** Gives back the code of runs that no snapshot holds. */
export function closeRuns(runs: Iterable<InstallRun>): void {
  for (const { loaded } of runs) loaded?.lease?.release();
}

/** Says how versions on trial fare. */
export function reportCanaries(runs: RunSet): readonly CanaryReport[] {
  return [...runs.values()].flatMap(({ install: { plugin, canary }, loaded }) =>
    canary && loaded?.split ? [{ plugin, startedAt: canary.startedAt, ...loaded.split.report() }] : [],
  );
}

/** Says how versions in the shadow fare. */
export function reportShadows(runs: RunSet): readonly ShadowReport[] {
  return [...runs.values()].flatMap(({ install: { plugin, shadow }, loaded }) =>
    shadow && loaded?.shadow ? [{ plugin, startedAt: shadow.startedAt, ...loaded.shadow.report() }] : [],
  );
}

/** Says how the installs fare. */
export function reportRuns(runs: RunSet): readonly InstallReport[] {
  return Array.from(runs.values(), ({ install, loaded, problem, faults }) => ({
    plugin: install.plugin,
    wanted: install.version,
    running: loaded?.manifest.version ?? null,
    problem: problem ?? [...faults.values()][0]?.problem ?? null,
    ...(loaded?.tier && { tier: loaded.tier }),
    ...reportPrevious(loaded, faults),
  }));
}

function reportPrevious(
  loaded: LoadedPlugin | undefined,
  faults: InstallRun['faults'],
): Pick<InstallReport, 'previous'> {
  if (loaded?.configsBefore !== undefined) {
    return { previous: { version: loaded.manifest.version, problem: null, isRunning: true } };
  }
  if (loaded?.previous === undefined) return {};
  const { version, problem, isStopped } = loaded.previous;
  const isRunning = [...faults.values()].some(({ isCovered }) => isCovered);
  return { previous: { version, problem: isStopped ? REVOKED : (problem ?? null), isRunning } };
}
