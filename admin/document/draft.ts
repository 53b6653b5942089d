// A candidate document that a write works on: the known state, with changes on top.
// Must not check across entities (core/check.ts) and must not touch I/O.
import { isDeepStrictEqual } from 'node:util';
import { type DocumentState, KINDS, mapOf, replaceMaps } from '../../gateway/core/config.ts';
import { editMap, type MapEdit } from '../../gateway/core/document/layered-map.ts';
import type { EntityKind, EntityOf } from '../../gateway/core/model.ts';
import type { Steps } from '../../gateway/core/slicer.ts';

/** Is one entity that a write changed; null = not there. */
export interface EntityChange {
  readonly kind: EntityKind;
  readonly id: string;
  readonly before: EntityOf[EntityKind] | null;
  readonly after: EntityOf[EntityKind] | null;
}

/** Gives the name an entity goes by in paths; undefined when it has none. */
export function nameOf(kind: EntityKind, entity: EntityOf[EntityKind]): string | undefined {
  // Searches by name ask this of every entity of a kind.
  const named = entity as { readonly name?: string; readonly username?: string; readonly plugin?: string };
  return kind === 'consumer' ? named.username : kind === 'install' ? named.plugin : named.name;
}

/** Holds a candidate. Maps in which nothing differs keep their identity. */
export class Draft {
  readonly base: DocumentState;
  readonly now: string;
  readonly #edits = new Map<EntityKind, MapEdit<EntityOf[EntityKind]>>();
  readonly #touched = new Map<EntityKind, Set<string>>();

  /** `now` is the time that changed entities get as `updatedAt`. */
  constructor(base: DocumentState, now: string) {
    this.base = base;
    this.now = now;
  }

  /** Gives the entities of one kind as they are now. */
  all<Kind extends EntityKind>(kind: Kind): ReadonlyMap<string, EntityOf[Kind]> {
    const own = this.#edits.get(kind) as ReadonlyMap<string, EntityOf[Kind]> | undefined;
    return own ?? mapOf(this.base, kind);
  }

  get<Kind extends EntityKind>(kind: Kind, id: string): EntityOf[Kind] | undefined {
    return this.all(kind).get(id);
  }

  /**
   * Puts an entity in the place of its id. Times are set here; an entity that equals what the base holds becomes that one
   * again, so that writing the same twice changes nothing.
   */
  put<Kind extends EntityKind>(kind: Kind, entity: EntityOf[Kind]): EntityOf[Kind] {
    const before = mapOf(this.base, kind).get(entity.id);
    const createdAt = before?.createdAt ?? (entity.createdAt || this.now);
    const same =
      before !== undefined && isDeepStrictEqual({ ...entity, createdAt, updatedAt: before.updatedAt }, before);
    const after = same ? before : { ...entity, createdAt, updatedAt: this.#timeAfter(before) };
    this.#touch(kind, entity.id).set(entity.id, after);
    return after;
  }

  remove(kind: EntityKind, id: string): void {
    this.#touch(kind, id).delete(id);
  }

  /** Gives the candidate, numbered as the revision it would become. */
  *state(): Steps<DocumentState> {
    const maps = new Map<EntityKind, ReadonlyMap<string, EntityOf[EntityKind]>>();
    for (const kind of new Set(this.changes().map((change) => change.kind)))
      maps.set(kind, yield* this.#edit(kind).build());
    return replaceMaps(this.base, this.base.revision + 1, maps);
  }

  /** Gives what differs from the base, in an order in which nothing refers to something later. */
  changes(): EntityChange[] {
    const changes: EntityChange[] = [];
    for (const kind of KINDS) {
      const after = this.all(kind);
      for (const id of this.#touched.get(kind) ?? []) {
        const was = mapOf(this.base, kind).get(id) ?? null;
        const is = after.get(id) ?? null;
        if (was !== is) changes.push({ kind, id, before: was, after: is });
      }
    }
    return changes;
  }

  /** Entity tags are made of this time, so that it must move on even when the clock does not. */
  #timeAfter(before: EntityOf[EntityKind] | undefined): string {
    if (before === undefined || before.updatedAt < this.now) return this.now;
    return new Date(Date.parse(before.updatedAt) + 1).toISOString();
  }

  #touch(kind: EntityKind, id: string): MapEdit<EntityOf[EntityKind]> {
    const touched = this.#touched.get(kind) ?? new Set();
    this.#touched.set(kind, touched.add(id));
    return this.#edit(kind);
  }

  #edit(kind: EntityKind): MapEdit<EntityOf[EntityKind]> {
    const known = this.#edits.get(kind);
    if (known !== undefined) return known;
    const edit = editMap<EntityOf[EntityKind]>(mapOf(this.base, kind));
    this.#edits.set(kind, edit);
    return edit;
  }
}
