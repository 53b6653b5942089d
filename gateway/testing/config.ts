// Reads a configuration the way the gateway does: checked by the plugin's own schema, defaults filled in.
// Must not know any plugin.
import { readFileSync } from 'node:fs';
import { ConfigError } from '../core/errors.ts';
import { buildValidator, type Validator } from '../core/validate.ts';

/** Compiling a schema takes milliseconds, and a suite reads dozens of configurations. */
const validators = new Map<string, Validator>();

/**
 * Reads `config` by the config.schema.json of a plugin's folder and fills in the defaults.
 *
 * @throws ConfigError when the configuration does not fit the schema.
 * @example const config = readConfig<Config>(new URL('.', import.meta.url), { keyNames: ['x-key'] });
 */
export function readConfig<Config = Record<string, unknown>>(folder: URL, config: unknown = {}): Config {
  const copy: unknown = structuredClone(config);
  const problems = findValidator(folder)(copy);
  if (problems.length > 0) throw new ConfigError(problems);
  // The schema is what Config says in TypeScript; that both agree is the author's affair.
  return copy as Config;
}

function findValidator(folder: URL): Validator {
  const known = validators.get(folder.href);
  if (known) return known;
  const validator = buildValidator(JSON.parse(readFileSync(new URL('config.schema.json', folder), 'utf8')));
  validators.set(folder.href, validator);
  return validator;
}
