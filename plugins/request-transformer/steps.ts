// Carries steps out on headers, query and fields: one meaning of each verb, three kinds of data.
// Must not know where the data came from.
import { buildQueryPart, type HeaderFields, type QueryPart } from 'sallyport/plugin';
import type { Fields } from './fields.ts';
import type { Step } from './rules.ts';

/** Changes headers in place. */
export function changeHeaders(headers: HeaderFields, steps: readonly Step[]): void {
  for (const { verb, name, value } of steps) {
    const text = String(value);
    const isThere = headers.has(name);
    if (verb === 'remove') headers.delete(name);
    else if (verb === 'append') headers.append(name, text);
    else if (verb === 'rename' && isThere) renameHeader(headers, name, text);
    else if ((verb === 'replace' && isThere) || (verb === 'add' && !isThere)) headers.set(name, text);
  }
}

function renameHeader(headers: HeaderFields, name: string, newName: string): void {
  const values = headers.getAll(name);
  headers.delete(name);
  headers.delete(newName);
  for (const value of values) headers.append(newName, value);
}

/** Gives the query after the steps; pieces that no step names are the same objects. */
export function changeQuery(parts: readonly QueryPart[], steps: readonly Step[]): readonly QueryPart[] {
  return steps.reduce(changeQueryOnce, parts);
}

function changeQueryOnce(parts: readonly QueryPart[], { verb, name, value }: Step): readonly QueryPart[] {
  const text = String(value);
  const isThere = parts.some((part) => part.name === name);
  const others = parts.filter((part) => part.name !== name);
  if (verb === 'remove') return others;
  if (verb === 'append' || (verb === 'add' && !isThere)) return [...parts, buildQueryPart(name, text)];
  if (verb === 'add' || !isThere) return parts;
  if (verb === 'rename') {
    if (name === text) return parts;
    return parts
      .filter((part) => part.name !== text)
      .map((part) => (part.name === name ? renamePart(part, text) : part));
  }
  // Replace: the first takes the value, and no second one is left for another reader to find.
  const first = parts.findIndex((part) => part.name === name);
  return parts.flatMap((part, at) => (at === first ? buildQueryPart(name, text) : part.name === name ? [] : part));
}

function renamePart({ raw, value }: QueryPart, name: string): QueryPart {
  const border = raw.indexOf('=');
  return { raw: `${encodeURIComponent(name)}${border === -1 ? '' : raw.slice(border)}`, name, value };
}

/** Changes fields in place; says whether anything changed. */
export function changeFields(fields: Fields, steps: readonly Step[]): boolean {
  return steps.map((step) => changeFieldOnce(fields, step)).includes(true);
}

function changeFieldOnce(fields: Fields, { verb, name, value }: Step): boolean {
  const old = fields.get(name);
  if (verb === 'remove') return fields.delete(name);
  if (verb === 'append') {
    fields.set(name, appendValue(old, JSON.stringify(value)));
    return true;
  }
  if ((verb === 'add') === (old !== undefined)) return false;
  if (verb === 'rename') {
    fields.delete(name);
    fields.set(String(value), old ?? 'null');
  } else {
    fields.set(name, JSON.stringify(value));
  }
  return true;
}

/** A list grows by one; anything else becomes a list. */
function appendValue(old: string | undefined, added: string): string {
  if (old === undefined) return `[${added}]`;
  if (!old.startsWith('[')) return `[${old},${added}]`;
  const inside = old.slice(1, -1).trim();
  return inside === '' ? `[${added}]` : `[${inside},${added}]`;
}
