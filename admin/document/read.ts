// Reads an entity from a body: schema, defaults, bounds; and finds entities by id or name.
// Must not put anything into a draft.
import { type InputKind, readInput } from '../../gateway/core/config.ts';
import type { EntityKind, EntityOf } from '../../gateway/core/model.ts';
import { invalid, invalidField } from '../errors.ts';
import { nameOf } from './draft.ts';

/** Most values (leaves, lists, objects) of one entity: past it, listing what is wrong with each would cost too much. */
const MAX_VALUES = 20_000;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Is an input with defaults filled and what only the server sets taken out. */
export type Input = Record<string, unknown>;

/** Says whether a reference has the form of an id. */
export function isId(ref: string): boolean {
  return UUID.test(ref);
}

/** Says whether a value is a JSON object. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Reads an entity; problems point below `pointer`. @throws CONFIG_INVALID */
export function readEntity(kind: InputKind, body: unknown, pointer = ''): Input {
  if (!isRecord(body)) throw invalidField(pointer, 'expected an object');
  if (countValues(body) > MAX_VALUES) throw invalidField(pointer, `expected at most ${MAX_VALUES} values`);
  const read = readInput(kind, body);
  if (!read.ok) {
    throw invalid(read.problems.map((problem) => ({ ...problem, pointer: `${pointer}${problem.pointer}` })));
  }
  const { createdAt: _created, updatedAt: _updated, ...input } = read.value;
  // A name that looks like an id could stand for two entities in a path.
  for (const field of ['name', 'username']) {
    if (kind !== 'token' && typeof input[field] === 'string' && isId(input[field])) {
      throw invalidField(`${pointer}/${field}`, 'expected a name that does not look like a UUID');
    }
  }
  return input;
}

function countValues(value: unknown): number {
  let count = 0;
  const open: unknown[] = [value];
  while (open.length > 0 && count <= MAX_VALUES) {
    const one = open.pop();
    count += 1;
    if (typeof one !== 'object' || one === null) continue;
    for (const inner of Object.values(one)) open.push(inner);
  }
  return count;
}

/** Finds an entity by id, else by unique name. */
export function findEntity<Kind extends EntityKind>(
  all: ReadonlyMap<string, EntityOf[Kind]>,
  kind: Kind,
  ref: string,
): EntityOf[Kind] | undefined {
  if (isId(ref)) return all.get(ref);
  let found: EntityOf[Kind] | undefined;
  for (const entity of all.values()) {
    if (nameOf(kind, entity) !== ref) continue;
    if (kind !== 'binding') return entity;
    // Names of bindings are unique only inside a scope: one that could mean two means none.
    if (found !== undefined) return undefined;
    found = entity;
  }
  return found;
}
