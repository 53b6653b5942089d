// Header fields over a list of pairs.
// Must not join or reorder values.
import type { HeaderFields } from '../core/plugin.ts';
import { FIELD_NAME } from '../core/schemas.ts';

/** Gives header fields: as a record (a list of values = several lines), or as pairs in order. */
export type HeaderInput =
  | Readonly<Record<string, string | readonly string[]>>
  | readonly (readonly [name: string, value: string])[];

/** Matches a legal field value; every other byte could end the line or be read as another character. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Builds header fields that behave as those of a live request. */
export function fakeHeaders(input: HeaderInput = {}): HeaderFields {
  let fields: (readonly [string, string])[] = [];
  const without = (name: string) => fields.filter(([other]) => other !== name.toLowerCase());
  const append = (name: string, value: string): void => {
    if (!FIELD_NAME.test(name) || !FIELD_VALUE.test(value)) throw new TypeError('not a legal header field');
    fields = [...fields, [name.toLowerCase(), value]];
  };
  for (const [name, values] of pairsOf(input)) for (const value of [values].flat()) append(name, value);
  const getAll = (name: string): string[] =>
    fields.filter(([other]) => other === name.toLowerCase()).map(([, value]) => value);
  return {
    getAll,
    append,
    get: (name) => getAll(name)[0],
    has: (name) => getAll(name).length > 0,
    set(name, value) {
      const before = fields;
      fields = without(name);
      try {
        append(name, value);
      } catch (error) {
        fields = before;
        throw error;
      }
    },
    delete(name) {
      fields = without(name);
    },
    entries: () => fields,
  };
}

function pairsOf(input: HeaderInput): readonly (readonly [string, string | readonly string[]])[] {
  return Array.isArray(input) ? input : Object.entries(input);
}
