// Decides which bindings hold for a route and a consumer, and in which order they run.
// Must not run plugins: the admin explains with the same code.
import type { PluginFinder } from '../document/installs.ts';
import { editLists, type ListMap, listAt } from '../document/list-map.ts';
import type { Binding, Scope } from '../model.ts';
import type { Stage } from '../plugin.ts';
import { atOnce, type Steps } from '../slicer.ts';

/** Gives the stages, outermost first. */
export const STAGES: readonly Stage[] = [
  'observe',
  'protect',
  'authenticate',
  'authorize',
  'limit',
  'transform',
  'route',
];

/** Finds bindings by the narrowest part of their scope. */
export interface BindingIndex {
  readonly global: readonly Binding[];
  readonly byApi: ListMap<Binding>;
  readonly byRoute: ListMap<Binding>;
  readonly byConsumer: ListMap<Binding>;
  readonly byGroup: ListMap<Binding>;
}

/** Is the index of a document without bindings. */
export const EMPTY_INDEX: BindingIndex = {
  global: [],
  byApi: new Map(),
  byRoute: new Map(),
  byConsumer: new Map(),
  byGroup: new Map(),
};

/** Is one binding that changed; a side that is absent was not there. */
export interface BindingChange {
  readonly before: Binding | undefined;
  readonly after: Binding | undefined;
}

/** Is what bindings are resolved for. */
export interface Subject {
  readonly apiId: string;
  readonly routeId: string;
  readonly consumerId?: string | undefined;
  readonly groups?: readonly string[] | undefined;
}

/** Brings an index to what bindings became. Only enabled ones are in it; a disabled one is as good as absent. */
export function* changeIndex(base: BindingIndex, changes: Iterable<BindingChange>): Steps<BindingIndex> {
  const byApi = editLists(base.byApi);
  const byRoute = editLists(base.byRoute);
  const byConsumer = editLists(base.byConsumer);
  const byGroup = editLists(base.byGroup);
  const global = [...base.global];
  const listFor = ({ scope: { api, route, consumer, group } }: Binding): Binding[] => {
    if (consumer !== undefined) return byConsumer.listOf(consumer);
    if (group !== undefined) return byGroup.listOf(group);
    if (route !== undefined) return byRoute.listOf(route);
    return api === undefined ? global : byApi.listOf(api);
  };
  for (const { before, after } of changes) {
    if (before?.enabled) {
      const list = listFor(before);
      const at = list.indexOf(before);
      if (at !== -1) list.splice(at, 1);
    }
    if (after?.enabled) listFor(after).push(after);
    yield;
  }
  return {
    global,
    byApi: yield* byApi.build(),
    byRoute: yield* byRoute.build(),
    byConsumer: yield* byConsumer.build(),
    byGroup: yield* byGroup.build(),
  };
}

/** Indexes bindings in one go. */
export function buildBindingIndex(bindings: Iterable<Binding>): BindingIndex {
  return atOnce(
    changeIndex(
      EMPTY_INDEX,
      Array.from(bindings, (after) => ({ before: undefined, after })),
    ),
  );
}

/** Ranks scopes, most specific first; 0 = most specific. The list is the contract of DESIGN section 3. */
export function rankScope(scope: Scope): number {
  if (scope.consumer !== undefined) {
    if (scope.route !== undefined) return 0;
    return scope.api !== undefined ? 1 : 4;
  }
  if (scope.group !== undefined) {
    if (scope.route !== undefined) return 2;
    return scope.api !== undefined ? 3 : 5;
  }
  if (scope.route !== undefined) return 6;
  return scope.api !== undefined ? 7 : 8;
}

/** Is one plugin instance that was considered: the binding that holds, if any, and those it beat. */
export interface Resolution {
  readonly plugin: string;
  readonly name: string | undefined;
  /** Undefined when an exclude won. */
  readonly binding: Binding | undefined;
  readonly excludedBy: Binding | undefined;
  readonly beaten: readonly Binding[];
}

/**
 * Decides for each plugin instance which binding holds: the most specific scope wins whole; of two groups, the one whose
 * name comes first. An exclude takes the instance away, but never a mandatory one.
 */
export function resolveBindings(index: BindingIndex, subject: Subject): readonly Resolution[] {
  const candidates = new Map<string, Binding[]>();
  for (const binding of listCandidates(index, subject)) {
    if (!matchesScope(binding.scope, subject)) continue;
    const instance = `${binding.plugin}\n${binding.name ?? ''}`;
    const known = candidates.get(instance);
    if (known) known.push(binding);
    else candidates.set(instance, [binding]);
  }
  return [...candidates.values()].map((bindings) => {
    const ordered = bindings.sort(compareSpecificity);
    const winner = ordered.find((one) => one.effect === 'apply' || !hasMandatory(ordered));
    const first = winner ?? ordered[0];
    return {
      plugin: first?.plugin ?? '',
      name: first?.name,
      binding: winner?.effect === 'apply' ? winner : undefined,
      excludedBy: winner?.effect === 'exclude' ? winner : undefined,
      beaten: ordered.filter((one) => one !== winner),
    };
  });
}

function listCandidates(index: BindingIndex, subject: Subject): readonly Binding[] {
  const lists = [index.global, listAt(index.byApi, subject.apiId), listAt(index.byRoute, subject.routeId)];
  if (subject.consumerId !== undefined) lists.push(listAt(index.byConsumer, subject.consumerId));
  for (const group of subject.groups ?? []) lists.push(listAt(index.byGroup, group));
  return lists.flat();
}

function matchesScope(scope: Scope, subject: Subject): boolean {
  return (
    (scope.api === undefined || scope.api === subject.apiId) &&
    (scope.route === undefined || scope.route === subject.routeId)
  );
}

function compareSpecificity(a: Binding, b: Binding): number {
  const byRank = rankScope(a.scope) - rankScope(b.scope);
  if (byRank !== 0) return byRank;
  const byGroup = compareText(a.scope.group ?? '', b.scope.group ?? '');
  // The order in which bindings came must not decide: a node that was told of each change and one that read all of it agree.
  return byGroup === 0 ? compareText(a.id, b.id) : byGroup;
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function hasMandatory(bindings: readonly Binding[]): boolean {
  return bindings.some((binding) => binding.mandatory);
}

/** Puts bindings in the order in which they run: stage, then `order`, then plugin name, then instance name. */
export function orderBindings(bindings: readonly Binding[], plugins: PluginFinder): readonly Binding[] {
  const stageOf = (binding: Binding): number => {
    const manifest = plugins.get(binding.plugin)?.manifest;
    return manifest ? STAGES.indexOf(manifest.stage) : STAGES.length;
  };
  return [...bindings].sort(
    (a, b) =>
      stageOf(a) - stageOf(b) ||
      a.order - b.order ||
      a.plugin.localeCompare(b.plugin, 'en') ||
      (a.name ?? '').localeCompare(b.name ?? '', 'en'),
  );
}
