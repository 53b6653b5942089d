// Checks a candidate document: what no single entity's schema can see.
// Must cost what changed, not what there is: a good document that changes is checked where it changed, and around that.
import { type DocumentState, EMPTY_DOCUMENT, type EntityIds, gatherIds, KINDS, listChanges, mapOf } from './config.ts';
import { addBindingsOfInstalls, installKey } from './document/installs.ts';
import { editMap } from './document/layered-map.ts';
import { type KindRules, RULES, type Surroundings } from './document/rules.ts';
import type { Problem } from './errors.ts';
import type { InstalledPlugin } from './manifest.ts';
import type { EntityKind, EntityOf } from './model.ts';
import type { Steps } from './slicer.ts';

export { bindingKey } from './document/rules.ts';

/** Names a fault and the entity it is in; the pointer is relative to that entity. */
export interface EntityProblem extends Problem {
  readonly kind: EntityKind;
  readonly id: string;
}

/** Gives installed plugins by name. */
export type InstalledPlugins = ReadonlyMap<string, InstalledPlugin>;

/** Says what a document is checked against. */
export interface CheckOptions {
  readonly plugins: InstalledPlugins;
  /** `elsewhere` is for data planes that look identities up instead of holding them. */
  readonly consumers: 'here' | 'elsewhere';
}

/** Is a document in which nothing is wrong, with what makes it cheap to check the next one. */
export interface GoodDocument {
  readonly state: DocumentState;
  /** Gives the id of the entity that holds a unique value: a name, the id of a route, a plugin's place in a scope. */
  readonly holders: ReadonlyMap<string, string>;
}

/** Is the document before the first revision, which is good. */
export const EMPTY_GOOD: GoodDocument = { state: EMPTY_DOCUMENT, holders: new Map() };

/** Is the result of a check: the document, or everything that is wrong with it. */
export type Verdict =
  | { readonly ok: true; readonly good: GoodDocument }
  | { readonly ok: false; readonly problems: readonly EntityProblem[] };

/** Checks a document whole: uniqueness, references, binding configurations, regular expressions. */
export function* checkDocument(state: DocumentState, options: CheckOptions): Steps<Verdict> {
  const touched = yield* gatherIds(listChanges(state));
  return yield* checkChange(EMPTY_GOOD, state, { ...options, touched });
}

/**
 * Checks what a good document became: the entities of `touched`, which must name all that differ, and those that refer to
 * something that is gone. Of several that hold one value, those are named that were not there before.
 */
export function* checkChange(
  before: GoodDocument,
  state: DocumentState,
  { touched: named, ...options }: CheckOptions & { readonly touched: EntityIds },
): Steps<Verdict> {
  const touched = yield* addBindingsOfInstalls(named, before.state, state);
  const problems: EntityProblem[] = [];
  const holders = editMap(before.holders);
  yield* releaseValues(before, touched, holders);
  yield* takeValues(state, touched, holders, problems);
  const findInstall = (name: string) => state.installs.get(holders.get(installKey(name)) ?? '');
  const around = {
    state,
    holders,
    plugins: { get: (name: string) => options.plugins.get(name) ?? findInstall(name) },
    hasConsumers: options.consumers === 'here',
  };
  const lost = new Set<EntityKind>();
  for (const kind of KINDS) {
    const rules = rulesOf(kind);
    for (const id of touched.get(kind) ?? []) {
      const entity = mapOf(state, kind).get(id);
      if (rules.isLoss(mapOf(before.state, kind).get(id), entity)) lost.add(kind);
      if (entity === undefined) continue;
      const add = adderOf(kind, id, problems);
      rules.checkOwn(entity, around, add);
      rules.checkReferences(entity, around, add);
      yield;
    }
  }
  yield* checkBystanders(around, touched, lost, problems);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, good: { state, holders: yield* holders.build() } };
}

type Holders = ReturnType<typeof editMap<string>>;

function* releaseValues(before: GoodDocument, touched: EntityIds, holders: Holders): Steps<void> {
  if (before.holders.size === 0) return;
  for (const [kind, ids] of touched) {
    for (const id of ids) {
      const entity = mapOf(before.state, kind).get(id);
      if (entity === undefined) continue;
      for (const { key } of rulesOf(kind).listUnique(entity)) holders.delete(key);
      yield;
    }
  }
}

function* takeValues(
  state: DocumentState,
  touched: EntityIds,
  holders: Holders,
  problems: EntityProblem[],
): Steps<void> {
  for (const kind of KINDS) {
    for (const id of touched.get(kind) ?? []) {
      const entity = mapOf(state, kind).get(id);
      if (entity === undefined) continue;
      for (const { key, pointer, message } of rulesOf(kind).listUnique(entity)) {
        if (holders.has(key)) problems.push({ kind, id, pointer, code: 'NOT_UNIQUE', message });
        else holders.set(key, id);
      }
      yield;
    }
  }
}

/** Checks the references of entities that did not change, when something of a kind that they refer to is gone. */
function* checkBystanders(
  around: Surroundings,
  touched: EntityIds,
  lost: ReadonlySet<EntityKind>,
  problems: EntityProblem[],
): Steps<void> {
  for (const kind of KINDS) {
    const rules = rulesOf(kind);
    const ids = touched.get(kind);
    if (!rules.refersTo.some((other) => lost.has(other))) continue;
    for (const [id, entity] of mapOf(around.state, kind)) {
      if (ids?.has(id)) continue;
      rules.checkReferences(entity, around, adderOf(kind, id, problems));
      yield;
    }
  }
}

function rulesOf(kind: EntityKind): KindRules<EntityOf[EntityKind]> {
  // The maps give each kind its own entities; the pair of kind and entity cannot be told to the compiler.
  return RULES[kind] as unknown as KindRules<EntityOf[EntityKind]>;
}

function adderOf(kind: EntityKind, id: string, problems: EntityProblem[]) {
  return (pointer: string, code: string, message: string): void => {
    problems.push({ kind, id, pointer, code, message });
  };
}
