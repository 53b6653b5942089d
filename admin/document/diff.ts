// Says what differs between two entities, field by field, with secrets hidden.
// Must not know how a diff is stored or sent.
import { isDeepStrictEqual } from 'node:util';
import type { EntityKind } from '../../gateway/core/model.ts';
import { createSlicer } from '../../gateway/core/slicer.ts';
import { escapePointer } from '../../gateway/core/validate.ts';
import { type EntityChange, nameOf } from './draft.ts';

/** Most changes that an answer lists one by one. */
const MAX_LISTED_CHANGES = 1000;

/** Stands where a secret, or what could find one, would be. */
const HIDDEN = '[hidden]';

/** Is one field that differs: a side that is absent was not there. */
export interface FieldDiff {
  readonly pointer: string;
  readonly before?: unknown;
  readonly after?: unknown;
}

/** Is what a write did to one entity. */
export interface EntityDiff {
  readonly kind: EntityKind;
  readonly id: string;
  readonly name?: string;
  readonly action: 'create' | 'update' | 'delete';
  readonly diff: readonly FieldDiff[];
}

const SECRET_FIELDS: Readonly<Partial<Record<EntityKind, ReadonlySet<string>>>> = {
  credential: new Set(['/data/secret', '/data/passwordHash']),
  certificate: new Set(['/privateKey']),
  install: new Set(['/secrets']),
};

/** Builds the diff of one changed entity. */
export function buildDiff({ kind, id, before, after }: EntityChange): EntityDiff {
  const shown = after ?? before;
  const name = shown === null ? undefined : nameOf(kind, shown);
  const action = before === null ? 'create' : after === null ? 'delete' : 'update';
  const isKey = kind === 'credential' && (shown as { readonly type?: string } | null)?.type === 'key-auth';
  const hide = (pointer: string, value: unknown): unknown => {
    const secrets = SECRET_FIELDS[kind];
    if (secrets === undefined) return value;
    // The hash of an API key is what finds its owner.
    const parent = pointer.slice(0, pointer.lastIndexOf('/'));
    if (secrets.has(pointer) || secrets.has(parent) || (isKey && pointer === '/lookup')) return HIDDEN;
    return isRecord(value)
      ? Object.fromEntries(Object.entries(value).map(([key, one]) => [key, hide(`${pointer}/${key}`, one)]))
      : value;
  };
  const diff: FieldDiff[] = [];
  if (before === null) diff.push({ pointer: '', after: hide('', after) });
  else if (after === null) diff.push({ pointer: '', before: hide('', before) });
  else collect('', before, after, (field) => diff.push(hideSides(field, hide)));
  return { kind, id, ...(name === undefined ? {} : { name }), action, diff };
}

/** Builds the diffs of a write, in slices: there may be a hundred thousand. */
export async function buildDiffs(changes: readonly EntityChange[]): Promise<readonly EntityDiff[]> {
  const slicer = createSlicer();
  const diffs: EntityDiff[] = [];
  for (const change of changes) {
    diffs.push(buildDiff(change));
    await slicer.step();
  }
  return diffs;
}

/** Shows what a write changed: counts always, single changes as far as an answer can hold them. */
export function showChanges(changes: readonly Pick<EntityDiff, 'action'>[]): Readonly<Record<string, unknown>> {
  const count = (action: EntityDiff['action']): number => changes.filter((change) => change.action === action).length;
  return {
    counts: { create: count('create'), update: count('update'), delete: count('delete') },
    changes: changes.slice(0, MAX_LISTED_CHANGES),
  };
}

function hideSides(field: FieldDiff, hide: (pointer: string, value: unknown) => unknown): FieldDiff {
  const { pointer } = field;
  return {
    pointer,
    ...('before' in field ? { before: hide(pointer, field.before) } : {}),
    ...('after' in field ? { after: hide(pointer, field.after) } : {}),
  };
}

function collect(pointer: string, before: unknown, after: unknown, emit: (field: FieldDiff) => void): void {
  if (pointer === '/updatedAt' || isDeepStrictEqual(before, after)) return;
  if (isRecord(before) && isRecord(after)) {
    for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
      const inner = `${pointer}/${escapePointer(key)}`;
      if (!Object.hasOwn(before, key)) emit({ pointer: inner, after: after[key] });
      else if (!Object.hasOwn(after, key)) emit({ pointer: inner, before: before[key] });
      else collect(inner, before[key], after[key], emit);
    }
    return;
  }
  const areLists = Array.isArray(before) && Array.isArray(after) && before.length === after.length;
  if (areLists && before.every(isRecord)) {
    for (const [index, item] of before.entries()) collect(`${pointer}/${index}`, item, after[index], emit);
    return;
  }
  emit({ pointer, before, after });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
