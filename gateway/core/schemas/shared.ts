// The pieces that several schemas are made of.
// Must not describe a whole entity.

/** Is a JSON Schema as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Largest number of items in one list of an entity; a bound against bodies that cost more than they say. */
export const MAX_LIST_ITEMS = 1000;

const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$';
const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
/** Matches a legal HTTP field name, as text. @see RFC 9110 section 5.6.2 */
export const TOKEN_PATTERN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$";
/** Matches a host of a route: exact or `*.` before a domain, or an IPv6 address in brackets. */
export const HOST_NAME_PATTERN =
  '^(\\*\\.)?[a-z0-9_]([a-z0-9_-]{0,62})?(\\.[a-z0-9_]([a-z0-9_-]{0,62})?)*$|^\\[[0-9a-f:.]+\\]$';

const uuid: JsonSchema = { type: 'string', pattern: UUID_PATTERN, description: 'UUID, lower case.' };
/** Describes a unique name. */
export const name: JsonSchema = {
  type: 'string',
  pattern: NAME_PATTERN,
  description: 'Unique name: letters, digits, `.`, `_`, `~`, `-`; at most 128 characters.',
};
/** Describes a reference to another entity. */
export const reference: JsonSchema = {
  type: 'string',
  minLength: 1,
  maxLength: 300,
  description: 'UUID or unique name.',
};
/** Describes tags. */
export const tags: JsonSchema = {
  type: 'array',
  maxItems: 50,
  uniqueItems: true,
  default: [],
  items: { type: 'string', pattern: '^[^,/\\u0000-\\u001f]{1,128}$' },
  description: 'Labels for searching; no `,` and no `/`.',
};
/** Describes what the server sets on every entity. */
export const serverSet: Readonly<Record<string, JsonSchema>> = {
  id: { ...uuid, description: 'UUID; made by the server when absent.' },
  createdAt: { type: 'string', maxLength: 40, readOnly: true, description: 'RFC 3339 time of creation.' },
  updatedAt: { type: 'string', maxLength: 40, readOnly: true, description: 'RFC 3339 time of the last change.' },
};

/** Describes a time span. */
export function milliseconds(description: string, defaultValue: number): JsonSchema {
  return { type: 'integer', minimum: 1, maximum: 86_400_000, default: defaultValue, description };
}

/** Describes a list without repeats, empty by default. */
export function listOf(items: JsonSchema, description: string): JsonSchema {
  return { type: 'array', maxItems: MAX_LIST_ITEMS, uniqueItems: true, default: [], items, description };
}

/** Describes a map of names to the values that match. */
function matchMap(keyPattern: string, description: string): JsonSchema {
  return {
    type: 'object',
    default: {},
    maxProperties: 32,
    propertyNames: { pattern: keyPattern },
    additionalProperties: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: { type: 'string', maxLength: 1024 },
    },
    description,
  };
}

/** Describes an entity: its own properties, tags and what the server sets. */
export function entity(
  title: string,
  required: readonly string[],
  properties: Readonly<Record<string, JsonSchema>>,
): JsonSchema {
  return {
    title,
    type: 'object',
    additionalProperties: false,
    required,
    properties: { ...properties, tags, ...serverSet },
  };
}

/** Describes the methods that match. */
export const methods: JsonSchema = listOf(
  { type: 'string', pattern: '^[A-Z][A-Z-]{0,31}$' },
  'HTTP methods, upper case. Empty = every method. GET does not include HEAD.',
);
/** Describes the paths that match. */
export const paths: JsonSchema = listOf(
  { type: 'string', pattern: '^(=|~)?/', maxLength: 1024 },
  '`/prefix` on segment borders, `=/exact`, or `~/regex` (linear time, anchored at both ends).',
);
/** Describes the header fields that must match. */
export const headerMatch: JsonSchema = matchMap(
  "^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$",
  'Lower-case header name to the values that match.',
);
/** Describes the query parameters that must match. */
export const queryMatch: JsonSchema = matchMap(
  '^.{1,256}$',
  'Query parameter to the values that match; every occurrence must match.',
);
