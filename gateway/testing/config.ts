// Reads a configuration the way the gateway does: checked by the plugin's own schema, defaults filled in.
// Must not know any plugin.
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { ConfigError } from '../core/errors.ts';

/**
 * Reads `config` by the config.schema.json of a plugin's folder and fills in the defaults.
 *
 * @throws ConfigError when the configuration does not fit the schema.
 * @example const config = readConfig<Config>(new URL('.', import.meta.url), { keyNames: ['x-key'] });
 */
export function readConfig<Config = Record<string, unknown>>(folder: URL, config: unknown = {}): Config {
  const schema: unknown = JSON.parse(readFileSync(new URL('config.schema.json', folder), 'utf8'));
  const validate = new Ajv2020({ useDefaults: true, allErrors: true, strict: true }).compile<Config>(schema as object);
  const copy: unknown = structuredClone(config);
  if (validate(copy)) return copy;
  throw new ConfigError(
    (validate.errors ?? []).map((error) => ({
      pointer: `/config${error.instancePath}`,
      code: error.keyword,
      message: error.message ?? 'is not valid',
    })),
  );
}
