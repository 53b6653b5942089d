// Writes TypeScript types from a plugin's config schema, so that code and schema cannot drift apart.
// Must not read or write files.
import type { JsonSchema } from '../../gateway/core/schemas.ts';

/** Deeper than the marketplace lets a schema nest; a reference to itself ends here too. */
const MAX_DEPTH = 10;
const MAX_UNION_LENGTH = 80;
const HEAD = '// Made from config.schema.json by `sallyport plugin`: change that file, and this one follows.\n';

/** Writes a module that exports `Config`: what a hook gets, with the defaults filled in. */
export function writeConfigTypes(schema: JsonSchema): string {
  const writer = { root: schema };
  const docs = describe(
    schema['description'] ?? 'Is the configuration of a binding, checked and with its defaults.',
    '',
  );
  const body = isPlainObject(schema) ? writeObject(writer, schema, '', 0) : undefined;
  if (body) return `${HEAD}\n${docs}export interface Config ${body}\n`;
  return `${HEAD}\n${docs}export type Config = ${writeType(writer, schema, '', 0)};\n`;
}

interface Writer {
  readonly root: JsonSchema;
}

function isPlainObject(schema: JsonSchema): boolean {
  return isSchema(schema['properties']) && !schema['oneOf'] && !schema['anyOf'] && !schema['allOf'] && !schema['$ref'];
}

function writeType(writer: Writer, schema: unknown, indent: string, depth: number): string {
  if (!isSchema(schema) || depth > MAX_DEPTH) return 'unknown';
  const ref = schema['$ref'];
  if (typeof ref === 'string') return writeType(writer, findReferred(writer.root, ref), indent, depth + 1);
  if (schema['const'] !== undefined) return writeLiteral(schema['const']);
  if (Array.isArray(schema['enum'])) return joinTypes(schema['enum'].map(writeLiteral), indent);
  const union = schema['oneOf'] ?? schema['anyOf'];
  // Branches that only say which properties go together are no types of their own.
  if (Array.isArray(union) && schema['properties'] === undefined) {
    return joinTypes(
      union.map((branch) => writeType(writer, branch, indent, depth + 1)),
      indent,
    );
  }
  const types = [schema['type'] ?? guessType(schema)].flat();
  return joinTypes(
    types.map((type) => writeOne(writer, { schema, type, indent, depth })),
    indent,
  );
}

interface Typed {
  readonly schema: JsonSchema;
  readonly type: unknown;
  readonly indent: string;
  readonly depth: number;
}

function writeOne(writer: Writer, { schema, type, indent, depth }: Typed): string {
  switch (type) {
    case 'string':
    case 'boolean':
    case 'null':
      return String(type);
    case 'number':
    case 'integer':
      return 'number';
    case 'array':
      return `readonly ${wrapUnion(writeType(writer, schema['items'], indent, depth + 1))}[]`;
    case 'object':
      return writeObject(writer, schema, indent, depth);
    default:
      return 'unknown';
  }
}

function writeObject(writer: Writer, schema: JsonSchema, indent: string, depth: number): string {
  const properties = Object.entries(isSchema(schema['properties']) ? schema['properties'] : {});
  const others = schema['additionalProperties'];
  if (properties.length === 0) {
    if (others === false) return 'Readonly<Record<string, never>>';
    return `Readonly<Record<string, ${writeType(writer, isSchema(others) ? others : undefined, indent, depth + 1)}>>`;
  }
  const required = Array.isArray(schema['required']) ? schema['required'] : [];
  const inner = `${indent}  `;
  const lines = properties.map(([name, property]) => {
    const value: JsonSchema = isSchema(property) ? property : {};
    const isThere = required.includes(name) || value['default'] !== undefined;
    const key = /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
    const type = writeType(writer, value, inner, depth + 1);
    const colon = type.startsWith('\n') ? ':' : ': ';
    return `${describe(value['description'], inner)}${inner}readonly ${key}${isThere ? '' : '?'}${colon}${type};\n`;
  });
  return `{\n${lines.join('')}${indent}}`;
}

function guessType(schema: JsonSchema): string | undefined {
  if (schema['properties'] !== undefined) return 'object';
  return schema['items'] === undefined ? undefined : 'array';
}

/** Finds what `#/$defs/name` means; a schema may refer to nothing outside of itself. */
function findReferred(root: JsonSchema, ref: string): unknown {
  if (!ref.startsWith('#/')) return undefined;
  let at: unknown = root;
  for (const token of ref.slice(2).split('/')) {
    const key = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
    at = isSchema(at) && Object.hasOwn(at, key) ? at[key] : undefined;
  }
  return at;
}

function writeLiteral(value: unknown): string {
  if (typeof value !== 'string') return typeof value === 'object' && value !== null ? 'unknown' : String(value);
  return `'${JSON.stringify(value).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** Writes a union: on one line, or a line for each when that would be long. */
function joinTypes(types: readonly string[], indent: string): string {
  const each = [...new Set(types)];
  const line = each.join(' | ') || 'unknown';
  return line.length <= MAX_UNION_LENGTH || line.includes('\n')
    ? line
    : each.map((one) => `\n${indent}  | ${one}`).join('');
}

/** Puts a union or a list in brackets, to stand before `[]`. */
function wrapUnion(type: string): string {
  const isOne = type.startsWith('{') || !type.includes(' | ');
  return isOne && !type.startsWith('readonly ') ? type : `(${type})`;
}

function describe(description: unknown, indent: string): string {
  if (typeof description !== 'string') return '';
  // The text comes from data; it must not end the comment it stands in.
  return `${indent}/** ${description.replaceAll('*/', '*\u200b/').replace(/\s+/g, ' ').trim()} */\n`;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
