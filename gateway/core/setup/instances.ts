// Bindings put to work: plugins set up with their configurations, closed when nobody uses them any more.
// Must not touch set-ups of bindings that did not change.
import type { EntityProblem } from '../check.ts';
import { readPluginConfig } from '../config.ts';
import { editMap, type MapEdit } from '../document/layered-map.ts';
import type { Problem } from '../errors.ts';
import type { Binding } from '../model.ts';
import type { Instance, LoadedPlugin, Loan, PreviousInstance } from '../pipeline.ts';
import { createSlicer, inSlices } from '../slicer.ts';
import { findConfig, findPrevious } from './previous.ts';
import {
  type ChangedRuns,
  closeRuns,
  continueRun,
  type InstallRun,
  noteFaults,
  type RunSet,
  type SetUpFault,
} from './runs.ts';
import { setUpBinding } from './set-up-binding.ts';
import { buildStandIn } from './stand-in.ts';

/** Longest that the version before may take: it is a way out, for which no revision waits long. */
const PREVIOUS_SETUP_TIMEOUT_MS = 2_000;

/** Holds set-ups by the id of their binding. Snapshots between which no binding changed share one set. */
export type InstanceSet = ReadonlyMap<string, Instance>;

/** Is a binding that is to be set up: for the first time, anew, or no more. */
export interface SetUpChange {
  readonly id: string;
  /** Undefined = gone. */
  readonly after: Binding | undefined;
}

/** Is what setting up needs. */
export interface SetUpOptions {
  /** Plugins in folders. */
  readonly plugins: ReadonlyMap<string, LoadedPlugin>;
  /** Lends a binding what it may use, from its set-up to its close. */
  lend(binding: Binding): Loan;
  readonly loaded: ChangedRuns;
  /** Are the set-ups in force: a binding that is the very same, on the very same code, keeps its own. */
  readonly known: InstanceSet;
}

/** Is the set-ups after a change, with the runs as they turned out; or every reason against the revision. */
export type SetUps =
  | { readonly ok: true; readonly instances: InstanceSet; readonly runs: RunSet; readonly fresh: readonly InstallRun[] }
  | { readonly ok: false; readonly problems: readonly EntityProblem[] };

/** Sets up what changed. A built-in plugin that refuses its set-up refuses the revision; an installed one only its own. */
export async function changeInstances(
  base: InstanceSet,
  changes: readonly SetUpChange[],
  options: SetUpOptions,
): Promise<SetUps> {
  const work = new SetUpWork(base, options);
  const slicer = createSlicer();
  const installed = new Map<string, Binding[]>();
  for (const { id, after } of changes) {
    work.instances.delete(id);
    if (!after?.enabled || after.effect === 'exclude') continue;
    const plugin = options.plugins.get(after.plugin);
    if (plugin) await work.setUpBuiltIn(after, plugin);
    else if (options.loaded.runs.has(after.plugin)) {
      const bindings = installed.get(after.plugin);
      if (bindings) bindings.push(after);
      else installed.set(after.plugin, [after]);
    }
    const pause = slicer.step();
    if (pause) await pause;
  }
  for (const [name, bindings] of installed) await work.setUpInstalled(name, bindings);
  return await work.finish();
}

class SetUpWork {
  readonly instances: MapEdit<Instance>;
  readonly #options: SetUpOptions;
  readonly #runs: MapEdit<InstallRun>;
  readonly #freshRuns: InstallRun[] = [];
  readonly #fresh: Instance[] = [];
  readonly #problems: EntityProblem[] = [];
  /** Versions before that have let the revision wait: once is enough. */
  readonly #late = new Set<LoadedPlugin>();

  constructor(base: InstanceSet, options: SetUpOptions) {
    this.instances = editMap(base);
    this.#runs = editMap(options.loaded.runs);
    this.#options = options;
  }

  async setUpBuiltIn(binding: Binding, plugin: LoadedPlugin): Promise<void> {
    try {
      this.instances.set(binding.id, await this.#setUp(binding, plugin, binding.config));
    } catch (error) {
      this.#problems.push({ kind: 'binding', id: binding.id, ...describe(error) });
    }
  }

  /**
   * Sets up the bindings of an install: all with what was loaded, else all with what ran before, else as far as it goes; where it
   * does not, with the version before, or what the fail policy says.
   */
  async setUpInstalled(name: string, bindings: readonly Binding[]): Promise<void> {
    const run = this.#runs.get(name);
    if (run === undefined) return;
    const tried = new Set(bindings.map(({ id }) => id));
    const fallback = this.#options.loaded.fallbacks.get(name);
    const isLast = fallback === undefined || fallback === run.loaded;
    const first = await this.#tryAll(run, bindings, isLast);
    const [fault] = first.faults.values();
    if (fault === undefined || isLast) {
      this.#take(first.made);
      this.#takeRun(run, noteFaults(run, tried, first.faults));
      return;
    }
    await closeInstances(this.#forget(first.made));
    const { made, faults } = await this.#tryAll({ ...run, loaded: fallback }, bindings, true);
    this.#take(made);
    this.#takeRun(run, continueRun(run.install, fallback, fault.problem, faults));
  }

  async finish(): Promise<SetUps> {
    if (this.#problems.length > 0) {
      await closeInstances(this.#fresh);
      closeRuns(this.#freshRuns);
      return { ok: false, problems: this.#problems };
    }
    const instances = await inSlices(this.instances.build());
    return { ok: true, instances, runs: await inSlices(this.#runs.build()), fresh: this.#freshRuns };
  }

  async #tryAll(
    run: InstallRun,
    bindings: readonly Binding[],
    isLast: boolean,
  ): Promise<{ readonly made: ReadonlyMap<string, Instance>; readonly faults: InstallRun['faults'] }> {
    const made = new Map<string, Instance>();
    const faults = new Map<string, SetUpFault>();
    const slicer = createSlicer();
    for (const binding of bindings) {
      const instance = await this.#setUpOne(run, binding, { faults, isLast });
      if (instance) made.set(binding.id, instance);
      const pause = slicer.step();
      if (pause) await pause;
    }
    return { made, faults };
  }

  async #setUpOne(
    run: InstallRun,
    binding: Binding,
    { faults, isLast }: { readonly faults: Map<string, SetUpFault>; readonly isLast: boolean },
  ): Promise<Instance | undefined> {
    const { loaded } = run;
    if (loaded !== undefined) {
      let fault: Problem;
      try {
        const read = readPluginConfig(loaded, findConfig(binding, loaded));
        if (!read.ok) throw new Error(read.problems.map(({ pointer, message }) => `${pointer}: ${message}`).join('; '));
        return await this.#setUp(binding, loaded, read.value);
      } catch (error) {
        const { pointer, ...rest } = describe(error);
        fault = { ...rest, pointer: `/bindings/${binding.id}${pointer}` };
      }
      const same = this.#options.known.get(binding.id);
      const goesOn = same?.plugin === loaded;
      const cover = goesOn || !isLast ? undefined : await this.#setUpInstead(binding, loaded);
      const why = cover?.problem === undefined ? '' : `; the version before: ${cover.problem}`;
      const problem = { ...fault, message: `${fault.message}${why}` };
      faults.set(binding.id, { problem, isCovered: cover?.instance !== undefined });
      if (goesOn) return same;
      if (cover?.instance) return cover.instance;
    }
    const standIn = buildStandIn(run.install);
    return standIn && (await this.#setUp(binding, standIn, binding.config));
  }

  async #setUp(binding: Binding, plugin: LoadedPlugin, config: Binding['config']): Promise<Instance> {
    const same = this.#options.known.get(binding.id);
    if (same?.binding === binding && same.plugin === plugin) return same;
    const made = await setUpBinding({ binding, plugin, config, known: same, loan: this.#options.lend(binding) });
    const instance = { ...made, previous: await this.#setUpPrevious(binding, plugin, made) };
    this.#fresh.push(instance);
    return instance;
  }

  /** Sets up the version before on a binding for which the installed one cannot be. */
  async #setUpInstead(binding: Binding, installed: LoadedPlugin): Promise<PreviousInstance | undefined> {
    const same = this.#options.known.get(binding.id);
    if (same?.binding === binding && same.plugin === findPrevious(binding, installed).plugin) {
      return { version: same.plugin.manifest.version, instance: same, problem: undefined };
    }
    const before = await this.#setUpPrevious(binding, installed, same);
    if (before?.instance) {
      this.#fresh.push(before.instance);
      const facts = { plugin: binding.plugin, version: before.version, binding: binding.id };
      before.instance.loan.host.log.warn('a binding runs on the version before: the installed one refuses it', facts);
    }
    return before;
  }

  /** Sets up the version before, as a rule beside the installed one. That it cannot be is no reason against anything. */
  async #setUpPrevious(
    binding: Binding,
    plugin: LoadedPlugin,
    known: Instance | undefined,
  ): Promise<PreviousInstance | undefined> {
    if (plugin.manifest.failPolicy !== 'previous') return undefined;
    const version = plugin.previous?.version ?? null;
    const found = findPrevious(binding, plugin);
    const cannot = (problem: string): PreviousInstance => ({ version, instance: undefined, problem });
    if (found.plugin === undefined) return cannot(found.problem);
    if (this.#late.has(found.plugin)) return cannot('its set-up took too long for another binding');
    const [loan, startedAt] = [this.#options.lend(binding), performance.now()];
    try {
      const parts = { binding, ...found, known, loan, timeoutMs: PREVIOUS_SETUP_TIMEOUT_MS };
      return { version, instance: await setUpBinding(parts), problem: undefined };
    } catch (error) {
      return cannot(`it cannot be set up: ${describe(error).message}`);
    } finally {
      if (performance.now() - startedAt > PREVIOUS_SETUP_TIMEOUT_MS / 2) this.#late.add(found.plugin);
    }
  }

  #take(made: ReadonlyMap<string, Instance>): void {
    for (const [id, instance] of made) this.instances.set(id, instance);
  }

  /** Takes back what was made in vain. */
  #forget(made: ReadonlyMap<string, Instance>): readonly Instance[] {
    const vain = new Set(made.values());
    const fresh = this.#fresh.filter((one) => vain.has(one));
    for (const one of fresh) this.#fresh.splice(this.#fresh.indexOf(one), 1);
    return fresh;
  }

  #takeRun(before: InstallRun, after: InstallRun): void {
    if (before === after) return;
    this.#runs.set(after.install.plugin, after);
    this.#freshRuns.push(after);
  }
}

function describe(error: unknown): Problem {
  const message = error instanceof Error ? error.message : String(error);
  return { pointer: '/config', code: 'SETUP_FAILED', message };
}

/** Closes set-ups that no request uses any more. A failing close harms nobody. */
export async function closeInstances(instances: readonly Instance[]): Promise<void> {
  const slicer = createSlicer();
  const closing: Promise<unknown>[] = [];
  for (const one of instances.flatMap(listOpen)) {
    one.loan.end();
    closing.push(closeInstance(one));
    const pause = slicer.step();
    if (pause) await pause;
  }
  await Promise.allSettled(closing);
}

function listOpen(one: Instance): readonly Instance[] {
  return one.previous?.instance ? [one, one.previous.instance] : [one];
}

async function closeInstance({ plugin, state }: Instance): Promise<void> {
  try {
    await plugin.plugin.close?.(state);
  } finally {
    // Its code goes after the last set-up on it.
    plugin.lease?.release();
  }
}
