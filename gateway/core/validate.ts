// Runs JSON Schemas and turns what they find into problems: a JSON pointer and what was expected there.
// Must not know what the schemas describe.
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { Problem } from './errors.ts';
import type { JsonSchema } from './schemas.ts';

/** Longest list of problems in one answer; a hostile body must not make a longer one. */
export const MAX_PROBLEMS = 50;

/** Checks a value and fills defaults into it, in place. Empty = valid. */
export type Validator = (value: unknown) => readonly Problem[];

// Holds nothing but the compiled meta-schema: schemas are checked by it, never added to it.
let metaChecker: Ajv2020 | undefined;

/**
 * Compiles a schema. Defaults are filled before `required` is checked.
 * @throws Error when the schema itself is invalid.
 */
export function buildValidator(schema: JsonSchema): Validator {
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
  });
  const validate: ValidateFunction = ajv.compile(schema);
  return (value) => (validate(value) ? [] : readProblems(validate.errors ?? []));
}

function readProblems(errors: readonly ErrorObject[]): Problem[] {
  const problems = new Map<string, Problem>();
  for (const error of errors) {
    // What failed inside the branches of a oneOf says less than the description of the whole.
    if (/\/oneOf\/\d+\//.test(error.schemaPath)) continue;
    const problem = readProblem(error);
    const key = `${problem.pointer} ${problem.code}`;
    if (!problems.has(key)) problems.set(key, problem);
    if (problems.size >= MAX_PROBLEMS) break;
  }
  return [...problems.values()];
}

function readProblem(error: ErrorObject): Problem {
  const params: Readonly<Record<string, unknown>> = error.params;
  switch (error.keyword) {
    case 'additionalProperties':
      return problemAt(child(error.instancePath, params['additionalProperty']), 'UNKNOWN_FIELD', 'unknown field');
    case 'required':
      return problemAt(child(error.instancePath, params['missingProperty']), 'REQUIRED', 'required field missing');
    case 'enum':
      return problemAt(error.instancePath, 'INVALID', `expected one of ${listOf(params['allowedValues'])}`);
    case 'const':
      return problemAt(error.instancePath, 'INVALID', `expected ${JSON.stringify(params['allowedValue'])}`);
    case 'type':
      return problemAt(error.instancePath, 'INVALID', `expected ${String(params['type'])}${hint(error)}`);
    case 'pattern':
    case 'oneOf':
      return problemAt(error.instancePath, 'INVALID', `unexpected value${hint(error)}`);
    case 'propertyNames':
      return problemAt(child(error.instancePath, params['propertyName']), 'INVALID', `unexpected name${hint(error)}`);
    default:
      return problemAt(error.instancePath, 'INVALID', `${error.message ?? 'is invalid'}${hint(error)}`);
  }
}

function problemAt(pointer: string, code: string, message: string): Problem {
  return { pointer, code, message };
}

function child(pointer: string, key: unknown): string {
  return `${pointer}/${escapePointer(String(key))}`;
}

function hint(error: ErrorObject): string {
  const description = error.parentSchema?.['description'];
  return typeof description === 'string' ? `; expected: ${description}` : '';
}

function listOf(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(', ') : '';
}

/** Escapes one token of a JSON pointer. @see RFC 6901 section 3 */
export function escapePointer(token: string): string {
  return token.replaceAll('~', '~0').replaceAll('/', '~1').slice(0, 256);
}
