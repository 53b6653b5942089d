// Lays a Kong file out flat: every entity once, with its place and what it belongs to, nested or not.
// Must not translate anything.
import { CommandError } from '../../output.ts';
import { asList, asRecord, isRecord, type Source } from '../source.ts';

/** Is what an entity may belong to. */
export type ParentKind = 'service' | 'route' | 'consumer' | 'consumer_group' | 'upstream' | 'certificate';

/** Is one entity of the file. */
export interface Entity {
  /** The section in which it would stand by itself, such as `services`. */
  readonly section: string;
  /** Such as `services[0].routes[1] (list-orders)`. */
  readonly place: string;
  readonly value: Source;
  /** What it names or stands below; a reference to what is not in the file gives none, and is in `missing`. */
  readonly parents: Readonly<Partial<Record<ParentKind, Entity>>>;
  readonly missing: readonly ParentKind[];
}

/** Holds the entities. */
export interface Entities {
  of(section: string): readonly Entity[];
  /** Gives what belongs to an entity. */
  below(parent: Entity, section: string): readonly Entity[];
  /** Finds one by id, name or username. */
  find(section: string, ref: unknown): Entity | undefined;
}

const CREDENTIALS = [
  'keyauth_credentials',
  'basicauth_credentials',
  'jwt_secrets',
  'acls',
  'hmacauth_credentials',
  'oauth2_credentials',
  'mtls_auth_credentials',
] as const;

/** Is where entities stand below others: section, field, and the section they belong to. */
const NESTED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  services: { routes: 'routes', plugins: 'plugins' },
  routes: { plugins: 'plugins' },
  consumers: { plugins: 'plugins', ...Object.fromEntries(CREDENTIALS.map((name) => [name, name])) },
  consumer_groups: { plugins: 'plugins' },
  upstreams: { targets: 'targets' },
};

/** Is what entities name in a field of their own. */
const PARENT_SECTIONS: Readonly<Record<ParentKind, string>> = {
  service: 'services',
  route: 'routes',
  consumer: 'consumers',
  consumer_group: 'consumer_groups',
  upstream: 'upstreams',
  certificate: 'certificates',
};

/** Are the sections in the order in which they are read: parents before what may name them. */
export const SECTIONS: readonly string[] = [
  'certificates',
  'ca_certificates',
  'upstreams',
  'targets',
  'services',
  'routes',
  'consumer_groups',
  'consumers',
  ...CREDENTIALS,
  'consumer_group_consumers',
  'plugins',
  'snis',
];

/** Finds entities by id, name or username. */
class EntityIndex {
  readonly #byRef = new Map<string, Entity>();

  add(entity: Entity): void {
    for (const key of ['id', 'name', 'username', 'custom_id']) {
      const ref = entity.value[key];
      const full = `${entity.section} ${String(ref)}`;
      // The first wins: custom_id is the weakest name of a consumer.
      if ((typeof ref === 'string' || typeof ref === 'number') && !this.#byRef.has(full)) this.#byRef.set(full, entity);
    }
  }

  /** Finds by a reference: a text, or an object with id, name or username. */
  find(section: string, ref: unknown): Entity | undefined {
    if (!isRecord(ref)) return this.#byRef.get(`${section} ${String(ref)}`);
    const key = ['id', 'name', 'username'].find((one) => ref[one] !== undefined && ref[one] !== null);
    return key === undefined ? undefined : this.#byRef.get(`${section} ${String(ref[key])}`);
  }
}

/** Lays the file out. @throws CommandError when a section is no list of objects */
export function readEntities(file: Source): Entities {
  const found = new Map<string, Entity[]>(SECTIONS.map((section) => [section, []]));
  const children = new Map<Entity, Entity[]>();
  const index = new EntityIndex();
  const defaults = readDefaults(file);

  const add = (section: string, value: unknown, at: string, above: Entity | undefined): void => {
    const own = asRecord(value, at);
    const merged = { ...defaults.get(section), ...own };
    const { parents, missing } = findParents(section, merged, above, index);
    const entity: Entity = { section, place: nameOf(at, own), value: merged, parents, missing };
    found.get(section)?.push(entity);
    index.add(entity);
    for (const parent of Object.values(parents)) {
      const known = children.get(parent);
      if (known === undefined) children.set(parent, [entity]);
      else known.push(entity);
    }
    for (const [field, inner] of Object.entries(NESTED[section] ?? {})) {
      const entries = asList(own[field], `${at}.${field}`);
      for (const [count, entry] of entries.entries()) add(inner, entry, `${at}.${field}[${count}]`, entity);
    }
  };

  for (const section of SECTIONS) {
    for (const [count, entry] of asList(file[section], section).entries()) {
      add(section, entry, `${section}[${count}]`, undefined);
    }
  }
  const below = (parent: Entity, section: string): readonly Entity[] =>
    (children.get(parent) ?? []).filter((one) => one.section === section);
  return { of: (section) => found.get(section) ?? [], below, find: (section, ref) => index.find(section, ref) };
}

function findParents(
  section: string,
  value: Source,
  above: Entity | undefined,
  index: EntityIndex,
): Pick<Entity, 'parents' | 'missing'> {
  const parents: Partial<Record<ParentKind, Entity>> = {};
  const missing: ParentKind[] = [];
  for (const [kind, parentSection] of Object.entries(PARENT_SECTIONS) as [ParentKind, string][]) {
    if (above?.section === parentSection) parents[kind] = above;
    const ref = value[kind];
    // A certificate names nothing, and `certificate` of a route is not ours to know.
    if (ref === undefined || ref === null || section === parentSection) continue;
    const named = index.find(parentSection, ref);
    if (named === undefined) missing.push(kind);
    else if (parents[kind] !== undefined && parents[kind] !== named) {
      throw new CommandError(`${above?.place}: holds what names another ${kind}`);
    } else parents[kind] = named;
  }
  return { parents, missing };
}

/** Gives the defaults that decK keeps beside the entities, by section. */
function readDefaults(file: Source): ReadonlyMap<string, Source> {
  const info = file['_info'];
  const defaults = isRecord(info) ? info['defaults'] : undefined;
  if (!isRecord(defaults)) return new Map();
  const entries = Object.entries(defaults).filter((entry): entry is [string, Source] => isRecord(entry[1]));
  return new Map(entries.map(([kind, values]) => [`${kind}s`, values]));
}

function nameOf(at: string, value: Source): string {
  const name = value['name'] ?? value['username'] ?? value['custom_id'] ?? value['target'];
  return typeof name === 'string' || typeof name === 'number' ? `${at} (${String(name).slice(0, 80)})` : at;
}
