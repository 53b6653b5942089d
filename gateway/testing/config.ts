// Reads a configuration the way the gateway does: checked by the plugin's own schema, defaults filled in.
// Must not know any plugin.
import { readFileSync } from 'node:fs';
import { ConfigError } from '../core/errors.ts';
import type { JsonSchema } from '../core/schemas.ts';
import { buildValidator, type Validator } from '../core/validate.ts';

/** Compiling a schema takes milliseconds, and a suite reads dozens of configurations. */
const validators = new Map<unknown, Validator>();

/**
 * Reads `config` by a plugin's schema and fills in the defaults: by the config.schema.json in a folder, or by the schema
 * itself.
 *
 * @throws ConfigError when the configuration does not fit the schema.
 * @example const config = readConfig<Config>(new URL('.', import.meta.url), { keyNames: ['x-key'] });
 */
export function readConfig<Config = Record<string, unknown>>(source: URL | JsonSchema, config: unknown = {}): Config {
  const copy: unknown = structuredClone(config);
  const problems = findValidator(source)(copy);
  if (problems.length > 0) throw new ConfigError(problems);
  // The schema is what Config says in TypeScript; that both agree is the author's affair.
  return copy as Config;
}

function findValidator(source: URL | JsonSchema): Validator {
  const key = source instanceof URL ? source.href : source;
  const known = validators.get(key);
  if (known) return known;
  const schema: JsonSchema =
    source instanceof URL ? JSON.parse(readFileSync(new URL('config.schema.json', source), 'utf8')) : source;
  const validator = buildValidator(schema);
  validators.set(key, validator);
  return validator;
}
