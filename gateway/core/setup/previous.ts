// The version before of an installed plugin, ready to take the exchanges where the installed version is aside or does not run.
// Must not say when one is aside: hooks/previous.ts does.
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
  const { plugin, configs } = previous;
  return {
    ...installed,
    lease: plugin ? joinLeases(installed, plugin) : joinLeases(installed),
    previous: { ...previous, plugin: plugin && takePlace(plugin, configs), isStopped: false },
  };
}

/** Makes the version before what runs in the place of the installed one; it is lent and given back as it was. */
export function takePlace(plugin: LoadedPlugin, configsBefore: PreviousPin['configs']): LoadedPlugin {
  // Nothing stands behind the version before: where it fails as well, no request goes on.
  return { ...plugin, manifest: { ...plugin.manifest, failPolicy: 'closed' }, configsBefore };
}

/** Gives what a binding configures a plugin with: the version before as a rollback would have it. */
export function findConfig({ id, config }: Binding, { configsBefore }: LoadedPlugin): Binding['config'] {
  const step = configsBefore?.[id];
  // A configuration that was written since is tried as it is.
  return step !== undefined && isDeepStrictEqual(step.after, config) ? step.before : config;
}

/** Says why a version does not run any more. */
export const REVOKED: Problem = { pointer: '', code: 'REVOKED', message: 'it was revoked' };

/** Is what the version before can be set up with on a binding, or why it cannot. */
export type PreviousParts =
  | { readonly plugin: LoadedPlugin; readonly config: Binding['config'] }
  | { readonly plugin: undefined; readonly problem: string };

/** Finds what the version before of `plugin` is set up with on a binding. */
export function findPrevious(binding: Binding, { manifest, previous }: LoadedPlugin): PreviousParts {
  if (previous === undefined) return no('there is no version before');
  const { plugin, problem, isStopped } = previous;
  if (isStopped) return no(REVOKED.message);
  if (plugin === undefined) return no(problem?.message ?? 'it does not run here');
  // Both run at the same place of the chain.
  if (plugin.manifest.stage !== manifest.stage) return no(`its stage is ${plugin.manifest.stage}`);
  const read = readPluginConfig(plugin, findConfig(binding, plugin));
  if (read.ok) return { plugin, config: read.value };
  const [first] = read.problems;
  return no(`the configuration does not fit it: ${first?.pointer}: ${first?.message}`);
}

function no(problem: string): PreviousParts {
  return { plugin: undefined, problem };
}
