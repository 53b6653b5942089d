// Runs JSON Schemas and turns what they find into problems: a JSON pointer and what was expected there.
// Must not know what the schemas describe.
import { isIP } from 'node:net';
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Problem } from './errors.ts';
import type { JsonSchema } from './schemas.ts';

/** Longest list of problems in one answer; a hostile body must not make a longer one. */
export const MAX_PROBLEMS = 50;

/** Most field names that one message lists. */
const MAX_NAMES = 40;

/** Formats beyond JSON Schema's own keywords, for plugins too: what a pattern cannot say. */
const FORMATS: Readonly<Record<string, (text: string) => boolean>> = { 'ip-network': isNetwork };

/** Bounds what `buildValidator` compiles. */
export interface ValidatorOptions {
  /** Compiles a pattern of the schema; the default is `RegExp`, which a pattern of somebody hostile can hold for ever. */
  readonly buildPattern?: (pattern: string) => RegExp;
}

/** Checks a value and fills defaults into it, in place. Empty = valid. */
export type Validator = (value: unknown) => readonly Problem[];

// Holds nothing but the compiled meta-schema: schemas are checked by it, never added to it.
let metaChecker: Ajv2020 | undefined;

/**
 * Compiles a schema. Defaults are filled before `required` is checked.
 * @throws Error when the schema itself is invalid.
 */
export function buildValidator(schema: JsonSchema, { buildPattern }: ValidatorOptions = {}): Validator {
  // Compiling the meta-schema takes 40 ms of CPU, each schema of ours about one; so it is compiled once for all of them.
  metaChecker ??= new Ajv2020();
  if (metaChecker.validateSchema(schema) !== true) throw new Error(metaChecker.errorsText());
  // Verbose gives each error its schema, whose description says what was expected.
  const ajv = new Ajv2020({
    meta: false,
    validateSchema: false,
    allErrors: true,
    useDefaults: true,
    verbose: true,
    strictRequired: false,
    allowUnionTypes: true,
    formats: FORMATS,
    ...(buildPattern && {
      // `code` is what a validator written to a file would call; ours are compiled and run at once.
      code: { regExp: Object.assign((pattern: string) => buildPattern(pattern), { code: 'buildPattern' }) },
      // Ajv would print what it finds odd about a stranger's schema.
      logger: false,
    }),
  });
  const validate: ValidateFunction = ajv.compile(schema);
  return (value) => (validate(value) ? [] : readProblems(validate.errors ?? [], schema));
}

/** Says whether a text is an address, or a network in CIDR form. */
function isNetwork(text: string): boolean {
  const [address = '', bits, ...others] = text.split('/');
  const version = isIP(address);
  if (version === 0 || address.includes('%') || others.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

function readProblems(errors: readonly ErrorObject[], schema: JsonSchema): Problem[] {
  const problems = new Map<string, Problem>();
  for (const error of errors) {
    // What failed inside the branches of a oneOf says less than the description of the whole.
    if (/\/oneOf\/\d+\//.test(error.schemaPath)) continue;
    // What `then` found says it all.
    if (error.keyword === 'if') continue;
    const problem = readProblem(error, schema);
    const key = `${problem.pointer} ${problem.code}`;
    if (!problems.has(key)) problems.set(key, problem);
    if (problems.size >= MAX_PROBLEMS) break;
  }
  return [...problems.values()];
}

function readProblem(error: ErrorObject, schema: JsonSchema): Problem {
  const hint = writeHint(error, schema);
  const params: Readonly<Record<string, unknown>> = error.params;
  switch (error.keyword) {
    case 'additionalProperties':
      return problemAt(
        child(error.instancePath, params['additionalProperty']),
        'UNKNOWN_FIELD',
        `unknown field${listKnown(error)}`,
      );
    case 'required':
      return problemAt(
        child(error.instancePath, params['missingProperty']),
        'REQUIRED',
        `required field missing${hint}`,
      );
    case 'enum':
      return problemAt(error.instancePath, 'INVALID', `expected one of ${listOf(params['allowedValues'])}`);
    case 'const':
      return problemAt(error.instancePath, 'INVALID', `expected ${JSON.stringify(params['allowedValue'])}${hint}`);
    case 'type':
      return problemAt(error.instancePath, 'INVALID', `expected ${String(params['type'])}${hint}`);
    case 'pattern':
    case 'format':
    case 'oneOf':
    case 'anyOf':
    case 'not':
      return problemAt(error.instancePath, 'INVALID', `unexpected value${hint}`);
    case 'propertyNames':
      return problemAt(child(error.instancePath, params['propertyName']), 'INVALID', `unexpected name${hint}`);
    default:
      return problemAt(error.instancePath, 'INVALID', `${error.message ?? 'is invalid'}${hint}`);
  }
}

function problemAt(pointer: string, code: string, message: string): Problem {
  return { pointer, code, message };
}

function child(pointer: string, key: unknown): string {
  return `${pointer}/${escapePointer(String(key))}`;
}

/** Says what was expected: in the words of the schema, else by its pattern. */
function writeHint(error: ErrorObject, schema: JsonSchema): string {
  const described = error.keyword === 'required' ? findMissing(error) : error.parentSchema;
  const description = described?.['description'] ?? findDescription(error.schemaPath, schema);
  if (typeof description === 'string') return `; expected: ${description}`;
  const { pattern } = error.params as { readonly pattern?: unknown };
  return error.keyword === 'pattern' ? `; expected: text that matches ${String(pattern)}` : '';
}

function findMissing(error: ErrorObject): JsonSchema | undefined {
  const properties = error.parentSchema?.['properties'] as Readonly<Record<string, JsonSchema>> | undefined;
  return properties?.[String((error.params as { readonly missingProperty?: unknown }).missingProperty)];
}

/** Finds the nearest description on the way to what failed: an item of a list is described by its list. */
function findDescription(schemaPath: string, schema: JsonSchema): unknown {
  let description: unknown;
  let at: unknown = schema;
  for (const token of schemaPath.split('/').slice(1)) {
    const key = decodeURIComponent(token).replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) break;
    at = (at as JsonSchema)[key];
    const found = typeof at === 'object' && at !== null ? (at as JsonSchema)['description'] : undefined;
    if (typeof found === 'string') description = found;
  }
  return description;
}

function listKnown(error: ErrorObject): string {
  const names = Object.keys((error.parentSchema?.['properties'] as object | undefined) ?? {});
  if (names.length === 0) return '';
  return `; known are ${names.slice(0, MAX_NAMES).join(', ')}${names.length > MAX_NAMES ? ', ...' : ''}`;
}

function listOf(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(', ') : '';
}

/** Escapes one token of a JSON pointer. @see RFC 6901 section 3 */
export function escapePointer(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1').slice(0, 256);
}
