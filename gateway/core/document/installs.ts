// Plugins of a document: those that every node has in folders, and those that the document installs.
// Must not load code: here a plugin is what its manifest says.
import type { DocumentState, EntityIds } from '../config.ts';
import type { InstalledPlugin } from '../manifest.ts';
import type { EntityKind, Install } from '../model.ts';
import type { Steps } from '../slicer.ts';

/** Finds plugins by name. */
export type PluginFinder = Pick<ReadonlyMap<string, InstalledPlugin>, 'get'>;

/** Gives the key that is unique among installs. */
export function installKey(plugin: string): string {
  return `install /plugin ${plugin}`;
}

/** Finds plugins among those in folders and among these installs. */
export function findAmong(plugins: PluginFinder, installs: Iterable<Install>): PluginFinder {
  const byName = new Map(Array.from(installs, (install) => [install.plugin, install]));
  return { get: (name) => plugins.get(name) ?? byName.get(name) };
}

/** Adds the bindings of every install that is named: whether they hold, and what they run on, depends on it. */
export function* addBindingsOfInstalls(
  touched: EntityIds,
  before: DocumentState,
  after: DocumentState,
): Steps<EntityIds> {
  const installs = touched.get('install');
  if (installs === undefined) return touched;
  const names = new Set<string>();
  for (const id of installs) {
    for (const state of [before, after]) {
      const plugin = state.installs.get(id)?.plugin;
      if (plugin !== undefined) names.add(plugin);
    }
  }
  const bindings = new Set(touched.get('binding'));
  for (const { id, plugin } of after.bindings.values()) {
    if (names.has(plugin)) bindings.add(id);
    yield;
  }
  return new Map<EntityKind, ReadonlySet<string>>(touched).set('binding', bindings);
}
