// A candidate document that a write works on: the known state, with changes on top.
// Must not check across entities (core/check.ts) and must not touch I/O.
import { isDeepStrictEqual } from 'node:util';
import { type DocumentState, KINDS } from '../../gateway/core/config.ts';
import type { EntityKind, EntityOf } from '../../gateway/core/model.ts';

/** Maps each kind to its map in the state. */
export const MAP_OF: Readonly<Record<EntityKind, Exclude<keyof DocumentState, 'revision'>>> = {
  certificate: 'certificates',
  upstream: 'upstreams',
  api: 'apis',
  consumer: 'consumers',
  credential: 'credentials',
  binding: 'bindings',
};

/** Is one entity that a write changed; null = not there. */
export interface EntityChange {
  readonly kind: EntityKind;
  readonly id: string;
  readonly before: EntityOf[EntityKind] | null;
  readonly after: EntityOf[EntityKind] | null;
}

/** Gives the map of one kind. */
export function mapOf<Kind extends EntityKind>(state: DocumentState, kind: Kind): ReadonlyMap<string, EntityOf[Kind]> {
  return state[MAP_OF[kind]] as unknown as ReadonlyMap<string, EntityOf[Kind]>;
}

/** Gives the name an entity goes by in paths; undefined when it has none. */
export function nameOf(kind: EntityKind, entity: EntityOf[EntityKind]): string | undefined {
  const { name, username } = entity as { readonly name?: string; readonly username?: string };
  return kind === 'consumer' ? username : name;
}

/** Holds a candidate. Maps are copied at the first change of their kind, so untouched ones keep their identity. */
export class Draft {
  readonly base: DocumentState;
  readonly now: string;
  readonly #maps = new Map<EntityKind, Map<string, EntityOf[EntityKind]>>();
  readonly #touched = new Map<EntityKind, Set<string>>();

  /** `now` is the time that changed entities get as `updatedAt`. */
  constructor(base: DocumentState, now: string) {
    this.base = base;
    this.now = now;
  }

  /** Gives the entities of one kind as they are now. */
  all<Kind extends EntityKind>(kind: Kind): ReadonlyMap<string, EntityOf[Kind]> {
    const own = this.#maps.get(kind) as ReadonlyMap<string, EntityOf[Kind]> | undefined;
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
  state(): DocumentState {
    return {
      revision: this.base.revision + 1,
      certificates: this.#current('certificate'),
      upstreams: this.#current('upstream'),
      apis: this.#current('api'),
      consumers: this.#current('consumer'),
      credentials: this.#current('credential'),
      bindings: this.#current('binding'),
    };
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

  #current<Kind extends EntityKind>(kind: Kind): ReadonlyMap<string, EntityOf[Kind]> {
    const before = mapOf(this.base, kind);
    const isChanged = [...(this.#touched.get(kind) ?? [])].some((id) => this.get(kind, id) !== before.get(id));
    return isChanged ? this.all(kind) : before;
  }

  #touch(kind: EntityKind, id: string): Map<string, EntityOf[EntityKind]> {
    const touched = this.#touched.get(kind) ?? new Set();
    this.#touched.set(kind, touched.add(id));
    const map = this.#maps.get(kind) ?? new Map<string, EntityOf[EntityKind]>(mapOf(this.base, kind));
    this.#maps.set(kind, map);
    return map;
  }
}
