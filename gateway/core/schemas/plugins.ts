// JSON Schemas of bindings and of plugin manifests.
// Must not know any one plugin's configuration: each plugin brings its own schema.
import { HOOK_NAMES } from '../manifest.ts';
import { entity, headerMatch, type JsonSchema, methods, name, paths, queryMatch, reference } from './shared.ts';

/** Matches the name of a plugin: one word, or `namespace/name` for one from a marketplace. */
const PLUGIN_PATTERN = '^[a-z0-9][a-z0-9-]{0,63}(/[a-z0-9][a-z0-9-]{0,63})?$';

/** Matches a host of `permissions.net`, lower case. */
const NET_HOST_PATTERN =
  '^(\\*|(\\*\\.)?[a-z0-9_]([a-z0-9._-]{0,251}[a-z0-9])?(:[0-9]{1,5})?|\\[[0-9a-f:.]+\\](:[0-9]{1,5})?)$';
/** Most that a plugin may keep in `host.kv`: it lives in the memory of every worker. */
const MAX_KV_BYTES = 16_777_216;

/** Matches a link that is safe to show: no other scheme, no spaces, no quotes. */
const link: JsonSchema = { type: 'string', pattern: '^https://[^\\s"\'<>`\\\\]{1,500}$', description: 'An https URL.' };
/** Describes labels of the catalogue. */
const labels: JsonSchema = {
  type: 'array',
  maxItems: 20,
  uniqueItems: true,
  items: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,31}$' },
  description: 'Lower-case words with `-`.',
};
/** Describes header fields by name. */
const headerNames: JsonSchema = {
  type: 'array',
  maxItems: 100,
  uniqueItems: true,
  items: { type: 'string', pattern: "^([!#$%&'+.^_`|~0-9a-z-]{1,200}\\*?|\\*)$" },
};
const headers: JsonSchema = {
  default: 'none',
  description:
    '`none`, `read`, `write`, or `read` and `write` as lists of lower-case field names, `x-acme-*` for a prefix.',
  oneOf: [
    { enum: ['none', 'read', 'write'] },
    { type: 'object', additionalProperties: false, properties: { read: headerNames, write: headerNames } },
  ],
};

const condition: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  description: 'Runs the plugin only on requests that match.',
  properties: { methods, paths, headers: headerMatch, query: queryMatch },
};

/** Describes a binding: plugin + config + scope + order + enabled. */
export const BINDING_SCHEMA: JsonSchema = entity('Binding', ['plugin'], {
  plugin: { type: 'string', pattern: PLUGIN_PATTERN, description: 'Name of an installed plugin.' },
  name: { ...name, description: 'Makes another instance that runs beside the unnamed one.' },
  scope: {
    type: 'object',
    additionalProperties: false,
    default: {},
    description: 'Where it applies; empty = everywhere.',
    properties: { api: reference, route: reference, consumer: reference, group: name },
  },
  config: { type: 'object', default: {}, description: "The plugin's configuration, by its own schema." },
  enabled: { type: 'boolean', default: true, description: 'A disabled binding is as good as absent.' },
  order: { type: 'integer', minimum: -1000, maximum: 1000, default: 0, description: 'Order inside the stage.' },
  when: condition,
  effect: { enum: ['apply', 'exclude'], default: 'apply', description: '`exclude` takes the plugin away here.' },
  mandatory: { type: 'boolean', default: false, description: 'Global only: no `exclude` takes it away.' },
});

/** Describes a manifest: what a plugin says about itself. */
export const MANIFEST_SCHEMA: JsonSchema = {
  title: 'Plugin manifest',
  type: 'object',
  additionalProperties: false,
  required: ['name', 'version', 'title', 'summary', 'stage', 'hooks', 'scopes', 'failPolicy', 'permissions', 'engines'],
  properties: {
    $schema: { type: 'string' },
    name: { type: 'string', pattern: PLUGIN_PATTERN, description: 'One word, or `namespace/name`.' },
    version: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+$' },
    title: { type: 'string', minLength: 1, maxLength: 80 },
    summary: { type: 'string', minLength: 1, maxLength: 200 },
    stage: { enum: ['observe', 'protect', 'authenticate', 'authorize', 'limit', 'transform', 'route'] },
    hooks: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { enum: HOOK_NAMES },
    },
    scopes: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: { enum: ['global', 'api', 'route', 'consumer', 'group'] },
    },
    failPolicy: { enum: ['closed', 'open', 'previous'] },
    limits: {
      type: 'object',
      additionalProperties: false,
      default: {},
      properties: {
        timeoutMs: { type: 'integer', minimum: 1, maximum: 60_000, default: 1_000 },
        memoryMb: { type: 'integer', minimum: 1, maximum: 1024, default: 32 },
      },
    },
    permissions: {
      type: 'object',
      additionalProperties: false,
      properties: {
        request: { $ref: '#/$defs/message' },
        response: { $ref: '#/$defs/message' },
        respond: { type: 'boolean', default: false },
        identify: { type: 'boolean', default: false },
        consumers: { enum: ['none', 'read'], default: 'none' },
        limits: { type: 'boolean', default: false },
        files: { type: 'array', items: { type: 'string' }, default: [] },
        net: {
          type: 'array',
          maxItems: 100,
          default: [],
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['host', 'reason'],
            properties: {
              host: {
                type: 'string',
                pattern: NET_HOST_PATTERN,
                description: '`host`, `host:port`, `*.domain` or `*`.',
              },
              reason: { type: 'string', minLength: 1, maxLength: 500 },
            },
          },
        },
        secrets: {
          type: 'array',
          maxItems: 50,
          default: [],
          items: { type: 'string', pattern: '^[A-Za-z][A-Za-z0-9_.-]{0,63}$', description: 'A name, not a value.' },
        },
        kv: {
          type: 'object',
          additionalProperties: false,
          required: ['maxBytes'],
          properties: { maxBytes: { type: 'integer', minimum: 1, maximum: MAX_KV_BYTES } },
        },
      },
    },
    license: { type: 'string', pattern: '^[A-Za-z0-9.+() -]{1,100}$', description: 'SPDX expression.' },
    homepage: link,
    repository: link,
    categories: labels,
    keywords: labels,
    configVersion: { type: 'integer', minimum: 1, maximum: 1_000_000 },
    engines: {
      type: 'object',
      additionalProperties: false,
      required: ['gateway'],
      properties: { gateway: { type: 'string', pattern: '^\\^\\d+\\.\\d+\\.\\d+$' } },
    },
  },
  $defs: {
    message: {
      type: 'object',
      additionalProperties: false,
      properties: {
        headers,
        path: { enum: ['none', 'read', 'write'], default: 'none' },
        query: { enum: ['none', 'read', 'write'], default: 'none' },
        body: { enum: ['none', 'read', 'write'], default: 'none' },
      },
    },
  },
};
