// JSON Schema of an install, as an admin writes it.
// Must not describe a package: the marketplace knows it, and the server fills in what it says.
import { entity, type JsonSchema } from './shared.ts';

/** Matches the name of a plugin of the marketplace. */
export const MARKETPLACE_NAME_PATTERN = '^[a-z0-9][a-z0-9-]{0,63}/[a-z0-9][a-z0-9-]{0,63}$';

/** Most characters of one secret, in clear. */
const MAX_SECRET_LENGTH = 4_096;
const MAX_SECRETS = 32;

const secrets = (description: string, maxLength: number): JsonSchema => ({
  type: 'object',
  maxProperties: MAX_SECRETS,
  propertyNames: { pattern: '^[A-Za-z][A-Za-z0-9_]{0,63}$' },
  additionalProperties: { type: 'string', minLength: 1, maxLength },
  writeOnly: true,
  description,
});
const fact = (type: string, description: string): JsonSchema => ({ type, readOnly: true, description });

/** Describes an install: which version of which plugin, and what it may do. What is read-only is ignored in bodies. */
export const INSTALL_SCHEMA: JsonSchema = entity('Install', ['plugin', 'version'], {
  plugin: { type: 'string', pattern: MARKETPLACE_NAME_PATTERN, description: '`namespace/name` in the marketplace.' },
  version: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+$', description: 'Which version; never a range.' },
  sha256: {
    type: 'string',
    pattern: '^[0-9a-f]{64}$',
    description: 'Digest of the package; refused when the marketplace has another one.',
  },
  granted: {
    type: 'object',
    description: 'Permissions as in a manifest. Refused with 409 while the version asks for more; `{}` = none.',
  },
  tier: {
    enum: ['auto', 'native', 'process'],
    default: 'auto',
    description: 'Where its code runs; `native` only for plugins signed by the platform.',
  },
  secrets: secrets('Values of the secrets that it may read, by name. Stay when absent.', MAX_SECRET_LENGTH),
  sealedSecrets: secrets('Instead of secrets, from an export.', 4 * MAX_SECRET_LENGTH),
  secretNames: { type: 'array', items: { type: 'string' }, readOnly: true, description: 'Which secrets are set.' },
  manifest: fact('object', 'What the version says about itself.'),
  configSchema: fact('object', 'How its bindings are configured.'),
  previous: fact('object', 'The version that a rollback leads to.'),
  bindings: fact('integer', 'How many bindings use it.'),
});
