// Checks that a config schema is one that forms can be drawn from and that harms nobody who runs it.
// Must not allow what a validator would fetch, follow in circles or run for ever: schemas of packages come from strangers.
import { buildSafePattern } from '../core/routing/safe-pattern.ts';
import type { JsonSchema } from '../core/schemas.ts';
import { escapePointer } from '../core/validate.ts';
import { PackageError, reasonOf } from './errors.ts';

/** Largest schema, as written. */
export const MAX_SCHEMA_BYTES = 65_536;
/** Deepest nesting of subschemas; the root is the first. What is deeper is not a form any more. */
const MAX_DEPTH = 5;
/** Most subschemas: each becomes code when the schema is compiled, a tenth to half a millisecond of it. */
const MAX_SUBSCHEMAS = 300;
/** Longest examples, as JSON: they are validated at every load, and some keywords compare each item with each. */
const MAX_EXAMPLES_LENGTH = 16_384;
const DIALECT = 'https://json-schema.org/draft/2020-12/schema';

/** Names, of the keywords that hold schemas, those that hold one, several in a list, or several by name. */
const ONE: readonly string[] = [
  'additionalProperties',
  'contains',
  'contentSchema',
  'else',
  'if',
  'items',
  'not',
  'propertyNames',
  'then',
  'unevaluatedItems',
  'unevaluatedProperties',
];
const SEVERAL: readonly string[] = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const BY_NAME: readonly string[] = ['$defs', 'dependentSchemas', 'patternProperties', 'properties'];
/** Hold data: what is in them is no schema, whatever it looks like. */
const DATA: readonly string[] = ['const', 'default', 'enum', 'examples'];
/** Would let a schema name itself, reach another or change what keywords mean. */
const FORBIDDEN: readonly string[] = [
  '$anchor',
  '$data',
  '$dynamicAnchor',
  '$dynamicRef',
  '$id',
  '$recursiveAnchor',
  '$recursiveRef',
  '$vocabulary',
  'definitions',
  'id',
];

/** Is where a walk through a schema stands. */
interface Place {
  readonly pointer: string;
  readonly depth: number;
  /** References that the way here leads through: one twice is a circle. */
  readonly refs: readonly string[];
}

/** Checks a schema against the profile in docs/packages.md; compiles nothing. @throws PackageError SCHEMA_INVALID */
export function checkSchemaProfile(schema: JsonSchema): void {
  if (schema['type'] !== 'object') throw fault('', 'expected type "object" at the root');
  if (schema['additionalProperties'] !== false) throw fault('', 'expected additionalProperties false at the root');
  const dialect = schema['$schema'];
  if (dialect !== undefined && dialect !== DIALECT) throw fault('/$schema', `expected ${DIALECT}`);
  const examples = schema['examples'];
  if (!Array.isArray(examples) || examples.length === 0) throw fault('/examples', 'expected at least one example');
  if (JSON.stringify(examples).length > MAX_EXAMPLES_LENGTH) {
    throw fault('/examples', `longer than ${MAX_EXAMPLES_LENGTH} characters`);
  }

  const open: [unknown, Place][] = [[schema, { pointer: '', depth: 1, refs: [] }]];
  // Each way to a subschema counts, so references that fan out and fan out again end here too.
  let count = 0;
  for (let next = open.pop(); next; next = open.pop()) {
    const [one, place] = next;
    count += 1;
    if (count > MAX_SUBSCHEMAS) throw fault(place.pointer, `more than ${MAX_SUBSCHEMAS} subschemas`);
    open.push(...visit(one, place, schema));
  }
}

/** Checks the keywords of one subschema and gives those below it. */
function visit(schema: unknown, place: Place, root: JsonSchema): [unknown, Place][] {
  if (typeof schema === 'boolean') return [];
  if (!isObject(schema)) throw fault(place.pointer, 'expected a schema');
  if (place.depth > MAX_DEPTH) throw fault(place.pointer, `deeper than ${MAX_DEPTH} levels`);
  return Object.entries(schema).flatMap(([keyword, value]) => {
    const pointer = `${place.pointer}/${escapePointer(keyword)}`;
    if (FORBIDDEN.includes(keyword)) throw fault(pointer, 'not allowed in a config schema');
    if (keyword === '$ref') return [follow(value, { ...place, pointer }, root)];
    if (keyword === 'pattern') checkPattern(value, pointer);
    if (keyword === 'patternProperties') for (const one of Object.keys(Object(value))) checkPattern(one, pointer);
    if (!DATA.includes(keyword) && isObject(value) && Object.hasOwn(value, '$data')) {
      throw fault(pointer, 'not allowed in a config schema: $data');
    }
    return listBelow(keyword, value).map(([part, below]): [unknown, Place] => [
      below,
      // Definitions count where they are used, not where they are written.
      { ...place, pointer: pointer + part, depth: keyword === '$defs' ? place.depth : place.depth + 1 },
    ]);
  });
}

function listBelow(keyword: string, value: unknown): [string, unknown][] {
  if (ONE.includes(keyword)) return [['', value]];
  const isMany = (SEVERAL.includes(keyword) && Array.isArray(value)) || (BY_NAME.includes(keyword) && isObject(value));
  if (!isMany) return [];
  return Object.entries(value as object).map(([name, one]) => {
    // A property of that name is no property: what is written to it changes what objects are.
    if (name === '__proto__') throw fault(`/${keyword}`, 'not allowed in a config schema: __proto__');
    return [`/${escapePointer(name)}`, one];
  });
}

/** Gives what a reference leads to: a definition of the same schema, and never one that the way here leads through. */
function follow(ref: unknown, place: Place, root: JsonSchema): [unknown, Place] {
  const name = typeof ref === 'string' ? /^#\/\$defs\/([A-Za-z0-9_-]+)$/.exec(ref)?.[1] : undefined;
  if (typeof ref !== 'string' || name === undefined) throw fault(place.pointer, 'expected "#/$defs/NAME"');
  if (place.refs.includes(ref)) throw fault(place.pointer, 'leads back to itself');
  const definitions = root['$defs'];
  if (!isObject(definitions) || !Object.hasOwn(definitions, name)) throw fault(place.pointer, 'leads nowhere');
  return [definitions[name], { ...place, refs: [...place.refs, ref] }];
}

/** Refuses patterns that a config could make run for ever. Who wrote the pattern is not who wrote the config. */
function checkPattern(pattern: unknown, pointer: string): void {
  try {
    buildSafePattern(String(pattern));
  } catch (error) {
    throw fault(pointer, `expected a pattern that runs in linear time: ${reasonOf(error)}`);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(pointer: string, message: string): PackageError {
  return new PackageError('SCHEMA_INVALID', `config.schema.json ${pointer || '/'}: ${message}`);
}
