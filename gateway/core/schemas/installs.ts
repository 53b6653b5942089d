// JSON Schema of an install, as an admin writes it.
// Must not describe a package: the marketplace knows it, and the server fills in what it says.
import { entity, type JsonSchema } from './shared.ts';

/** Matches the name of a plugin of the marketplace. */
const MARKETPLACE_NAME_PATTERN = '^[a-z0-9][a-z0-9-]{0,63}/[a-z0-9][a-z0-9-]{0,63}$';

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

/** Describes what runs beside the installed version; `percent` says what the part of the exchanges is for. */
const besideInstalled = (percent: string): JsonSchema => ({
  version: {
    type: 'string',
    pattern: '^\\d+\\.\\d+\\.\\d+$',
    description: 'Another version than the installed one.',
  },
  granted: { type: 'object', description: 'Permissions as in a manifest; those of the install when absent.' },
  percent: { type: 'number', minimum: 0, maximum: 100, default: 5, description: percent },
});

/** Describes a trial: which other version gets which part of the exchanges, and when it is lost or won. */
export const CANARY_SCHEMA: JsonSchema = {
  title: 'CanaryInput',
  type: 'object',
  additionalProperties: false,
  required: ['version'],
  properties: {
    ...besideInstalled('Part of the exchanges that it gets.'),
    key: {
      enum: ['consumer', 'ip', 'request'],
      default: 'consumer',
      description: 'What keeps a caller on one version. `consumer` is its address where nobody is known.',
    },
    minExchanges: {
      type: 'integer',
      minimum: 1,
      maximum: 1_000_000,
      default: 100,
      description: 'Exchanges of the trial before it is judged.',
    },
    maxErrorPart: {
      type: 'number',
      minimum: 0,
      maximum: 1,
      default: 0.01,
      description: 'Part that may fail or be refused beyond what the installed version fails and refuses.',
    },
    maxSlowdown: {
      type: 'number',
      minimum: 1,
      maximum: 1_000,
      default: 2,
      description: 'How many times as long as before a hook may take on the average, beside a millisecond.',
    },
    promoteAfterSeconds: {
      type: 'integer',
      minimum: 1,
      maximum: 2_592_000,
      description: 'When it is installed if all is well; absent = a person decides.',
    },
  },
};

/** Describes a shadow: which other version runs on copies of which part of the exchanges. */
export const SHADOW_SCHEMA: JsonSchema = {
  title: 'ShadowInput',
  type: 'object',
  additionalProperties: false,
  required: ['version'],
  properties: {
    ...besideInstalled('Part of the exchanges on a copy of which it runs.'),
  },
};

/** Describes a replay: which version is run on which recorded requests. */
export const REPLAY_SCHEMA: JsonSchema = {
  title: 'ReplayInput',
  type: 'object',
  additionalProperties: false,
  required: ['version'],
  properties: {
    version: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+$', description: 'A version that is approved.' },
    api: {
      type: 'string',
      minLength: 1,
      maxLength: 128,
      description: 'Whose requests; may be absent with a binding of one api.',
    },
    binding: {
      type: 'string',
      minLength: 1,
      maxLength: 128,
      description: 'Whose configuration it gets; chosen where there is one.',
    },
    config: { type: 'object', description: 'Its configuration, in place of that of a binding.' },
    count: { type: 'integer', minimum: 1, maximum: 1_000, default: 200, description: 'The newest so many requests.' },
    maxExamples: { type: 'integer', minimum: 0, maximum: 20, default: 5, description: 'Most examples that are shown.' },
  },
};

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
    enum: ['auto', 'native', 'isolate', 'process'],
    default: 'auto',
    description:
      'Where its code runs; `native` only for plugins signed by the platform, `isolate` for publishers who are trusted not to attack.',
  },
  secrets: secrets('Values of the secrets that it may read, by name. Stay when absent.', MAX_SECRET_LENGTH),
  sealedSecrets: secrets('Instead of secrets, from an export.', 4 * MAX_SECRET_LENGTH),
  secretNames: { type: 'array', items: { type: 'string' }, readOnly: true, description: 'Which secrets are set.' },
  manifest: fact('object', 'What the version says about itself.'),
  configSchema: fact('object', 'How its bindings are configured.'),
  previous: fact('object', 'The version that a rollback leads to.'),
  canary: fact('object', 'The version on trial.'),
  shadow: fact('object', 'The version in the shadow.'),
  bindings: fact('integer', 'How many bindings use it.'),
  troubles: fact('array', 'Live nodes on which something else runs, and why; only where it is read.'),
});
