// Decides which bindings hold for a route and a consumer, and in which order they run.
// Must not run plugins: the admin explains with the same code.
import type { InstalledPlugins } from '../check.ts';
import type { Binding, Scope } from '../model.ts';
import type { Stage } from '../plugin.ts';

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
  readonly byApi: ReadonlyMap<string, readonly Binding[]>;
  readonly byRoute: ReadonlyMap<string, readonly Binding[]>;
  readonly byConsumer: ReadonlyMap<string, readonly Binding[]>;
  readonly byGroup: ReadonlyMap<string, readonly Binding[]>;
}

/** Is what bindings are resolved for. */
export interface Subject {
  readonly apiId: string;
  readonly routeId: string;
  readonly consumerId?: string | undefined;
  readonly groups?: readonly string[] | undefined;
}

/** Indexes the enabled bindings; a disabled one is as good as absent. */
export function buildBindingIndex(bindings: Iterable<Binding>): BindingIndex {
  const index = {
    global: [] as Binding[],
    byApi: new Map<string, Binding[]>(),
    byRoute: new Map<string, Binding[]>(),
    byConsumer: new Map<string, Binding[]>(),
    byGroup: new Map<string, Binding[]>(),
  };
  for (const binding of bindings) {
    if (!binding.enabled) continue;
    const { api, route, consumer, group } = binding.scope;
    if (consumer !== undefined) push(index.byConsumer, consumer, binding);
    else if (group !== undefined) push(index.byGroup, group, binding);
    else if (route !== undefined) push(index.byRoute, route, binding);
    else if (api !== undefined) push(index.byApi, api, binding);
    else index.global.push(binding);
  }
  return index;
}

function push(map: Map<string, Binding[]>, key: string, binding: Binding): void {
  const list = map.get(key);
  if (list) list.push(binding);
  else map.set(key, [binding]);
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
    if (matchesScope(binding.scope, subject)) push(candidates, `${binding.plugin}\n${binding.name ?? ''}`, binding);
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
  const lists = [index.global, index.byApi.get(subject.apiId), index.byRoute.get(subject.routeId)];
  if (subject.consumerId !== undefined) lists.push(index.byConsumer.get(subject.consumerId));
  for (const group of subject.groups ?? []) lists.push(index.byGroup.get(group));
  return lists.flatMap((list) => list ?? []);
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
  return (a.scope.group ?? '') < (b.scope.group ?? '') ? -1 : 1;
}

function hasMandatory(bindings: readonly Binding[]): boolean {
  return bindings.some((binding) => binding.mandatory);
}

/** Puts bindings in the order in which they run: stage, then `order`, then plugin name, then instance name. */
export function orderBindings(bindings: readonly Binding[], plugins: InstalledPlugins): readonly Binding[] {
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
