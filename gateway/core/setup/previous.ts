// The version before of an installed plugin, ready to take the exchanges of a binding whose installed version is aside.
// Must not say when it does: hooks/previous.ts does.
import { isDeepStrictEqual } from 'node:util';
import { readPluginConfig } from '../config.ts';
import type { Problem } from '../errors.ts';
import type { Binding, PreviousPin } from '../model.ts';
import type { LoadedPlugin } from '../pipeline.ts';
import { joinLeases } from './split.ts';

/** Is the version before, as far as it can run here. */
export interface PreviousVersion {
  readonly version: string;
  /** Undefined = it cannot run, and `problem` says why. */
  readonly plugin: LoadedPlugin | undefined;
  readonly problem: Problem | undefined;
  /** How bindings were configured for it. */
  readonly configs: PreviousPin['configs'];
  /** Set when it must not run any more: it was revoked. */
  isStopped: boolean;
}

/** Puts the version before beside an installed one; it is lent and given back with that. */
export function keepPrevious(installed: LoadedPlugin, previous: Omit<PreviousVersion, 'isStopped'>): LoadedPlugin {
  const { plugin } = previous;
  // Nothing stands behind the version before: where it fails as well, no request goes on.
  const closed = plugin && { ...plugin, manifest: { ...plugin.manifest, failPolicy: 'closed' as const } };
  return {
    ...installed,
    lease: plugin ? joinLeases(installed, plugin) : joinLeases(installed),
    previous: { ...previous, plugin: closed, isStopped: false },
  };
}

/** Is what the version before can be set up with on a binding, or why it cannot. */
export type PreviousParts =
  | { readonly plugin: LoadedPlugin; readonly config: Binding['config'] }
  | { readonly plugin: undefined; readonly problem: string };

/** Finds what the version before of `plugin` is set up with on a binding. */
export function findPrevious(binding: Binding, { manifest, previous }: LoadedPlugin): PreviousParts {
  if (previous === undefined) return no('there is no version before');
  const { plugin, problem, configs } = previous;
  if (plugin === undefined) return no(problem?.message ?? 'it does not run here');
  // Both run at the same place of the chain.
  if (plugin.manifest.stage !== manifest.stage) return no(`its stage is ${plugin.manifest.stage}`);
  const step = configs[binding.id];
  // As a rollback would have it: a configuration that was written since is tried as it is.
  const config = step !== undefined && isDeepStrictEqual(step.after, binding.config) ? step.before : binding.config;
  const read = readPluginConfig(plugin, config);
  if (read.ok) return { plugin, config: read.value };
  const [first] = read.problems;
  return no(`the configuration does not fit it: ${first?.pointer}: ${first?.message}`);
}

function no(problem: string): PreviousParts {
  return { plugin: undefined, problem };
}
