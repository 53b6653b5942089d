// JSON Schemas (2020-12) of the document's entities: they validate REST bodies, files and snapshots, and make the OpenAPI.
// Must not check anything that needs a second entity: that is config.ts.

/** Is a JSON Schema as plain data. */
export type JsonSchema = { readonly [keyword: string]: unknown };

/** Largest number of items in one list of an entity; a bound against bodies that cost more than they say. */
export const MAX_LIST_ITEMS = 1000;

const NAME_PATTERN = '^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$';
const UUID_PATTERN = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$';
const TOKEN_PATTERN = "^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$";
const HOST_NAME_PATTERN =
  '^(\\*\\.)?[a-z0-9_]([a-z0-9_-]{0,62})?(\\.[a-z0-9_]([a-z0-9_-]{0,62})?)*$|^\\[[0-9a-f:.]+\\]$';

const uuid: JsonSchema = { type: 'string', pattern: UUID_PATTERN, description: 'UUID, lower case.' };
const name: JsonSchema = {
  type: 'string',
  pattern: NAME_PATTERN,
  description: 'Unique name: letters, digits, `.`, `_`, `~`, `-`; at most 128 characters.',
};
const reference: JsonSchema = { type: 'string', minLength: 1, maxLength: 300, description: 'UUID or unique name.' };
const tags: JsonSchema = {
  type: 'array',
  maxItems: 50,
  uniqueItems: true,
  default: [],
  items: { type: 'string', pattern: '^[^,/\\u0000-\\u001f]{1,128}$' },
  description: 'Labels for searching; no `,` and no `/`.',
};
const serverSet: Readonly<Record<string, JsonSchema>> = {
  id: { ...uuid, description: 'UUID; made by the server when absent.' },
  createdAt: { type: 'string', maxLength: 40, readOnly: true, description: 'RFC 3339 time of creation.' },
  updatedAt: { type: 'string', maxLength: 40, readOnly: true, description: 'RFC 3339 time of the last change.' },
};

function milliseconds(description: string, defaultValue: number): JsonSchema {
  return { type: 'integer', minimum: 1, maximum: 86_400_000, default: defaultValue, description };
}

function listOf(items: JsonSchema, description: string): JsonSchema {
  return { type: 'array', maxItems: MAX_LIST_ITEMS, uniqueItems: true, default: [], items, description };
}

function matchMap(keyPattern: string, description: string): JsonSchema {
  return {
    type: 'object',
    default: {},
    maxProperties: 32,
    propertyNames: { pattern: keyPattern },
    additionalProperties: {
      type: 'array',
      minItems: 1,
      maxItems: 100,
      items: { type: 'string', maxLength: 1024 },
    },
    description,
  };
}

function entity(
  title: string,
  required: readonly string[],
  properties: Readonly<Record<string, JsonSchema>>,
): JsonSchema {
  return {
    title,
    type: 'object',
    additionalProperties: false,
    required,
    properties: { ...properties, tags, ...serverSet },
  };
}

const methods = listOf(
  { type: 'string', pattern: '^[A-Z][A-Z-]{0,31}$' },
  'HTTP methods, upper case. Empty = every method. GET does not include HEAD.',
);
const paths = listOf(
  { type: 'string', pattern: '^(=|~)?/', maxLength: 1024 },
  '`/prefix` on segment borders, `=/exact`, or `~/regex` (linear time, anchored at both ends).',
);
const headerMatch = matchMap("^[!#$%&'*+.^_`|~0-9a-z-]{1,256}$", 'Lower-case header name to the values that match.');
const queryMatch = matchMap('^.{1,256}$', 'Query parameter to the values that match; every occurrence must match.');

/** Describes a route: matches requests by host, path, method, headers and query. At least one of them is needed. */
export const ROUTE_SCHEMA: JsonSchema = {
  title: 'Route',
  type: 'object',
  additionalProperties: false,
  properties: {
    id: serverSet['id'],
    name: { ...name, description: 'Name, unique inside the api.' },
    hosts: listOf(
      { type: 'string', pattern: HOST_NAME_PATTERN, maxLength: 253 },
      'Exact (`api.example.com`) or wildcard (`*.example.com`), lower case, no port.',
    ),
    paths,
    methods,
    headers: headerMatch,
    query: queryMatch,
    stripPath: { type: 'boolean', default: true, description: 'Takes the matched path off before forwarding.' },
  },
};

const timeouts: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Time bounds of one try, in milliseconds.',
  properties: {
    connectMs: milliseconds('Opening the connection, TLS included.', 5_000),
    responseMs: milliseconds('From the request sent to the response head.', 60_000),
    idleMs: milliseconds('Longest silence while a body is in flight.', 60_000),
  },
};

const retries: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'Retries happen only when nothing can have been done twice.',
  properties: { attempts: { type: 'integer', minimum: 0, maximum: 5, default: 1, description: 'Further tries.' } },
};

/** Describes an api: routes, an upstream, defaults. */
export const API_SCHEMA: JsonSchema = entity('Api', ['name', 'upstream'], {
  name,
  upstream: {
    description: 'URL of a single target (`http://host:port/base`), or `{name}` of an upstream.',
    oneOf: [
      { type: 'string', pattern: '^https?://[^\\s/?#@]+(/[^\\s?#]*)?$', maxLength: 2048 },
      { type: 'object', additionalProperties: false, required: ['name'], properties: { name } },
    ],
  },
  routes: { type: 'array', maxItems: MAX_LIST_ITEMS, default: [], items: ROUTE_SCHEMA, description: 'Its routes.' },
  enabled: { type: 'boolean', default: true, description: 'A disabled api matches nothing.' },
  preserveHost: { type: 'boolean', default: false, description: "Sends the client's Host upstream." },
  timeouts,
  retries,
});

const healthChecks: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  default: {},
  description: 'How sick targets are found.',
  properties: {
    active: {
      type: 'object',
      additionalProperties: false,
      description: 'Asks every target on a schedule. Absent = off.',
      properties: {
        path: { type: 'string', pattern: '^/', maxLength: 1024, default: '/', description: 'Path to GET.' },
        intervalMs: milliseconds('Time between two questions.', 5_000),
        timeoutMs: milliseconds('Longest wait for an answer.', 1_000),
        healthyStatuses: {
          type: 'array',
          minItems: 1,
          maxItems: 100,
          default: [200, 204, 302],
          items: { type: 'integer', minimum: 100, maximum: 599 },
          description: 'Statuses that count as healthy.',
        },
        healthyAfter: { type: 'integer', minimum: 1, maximum: 100, default: 2, description: 'Good answers in a row.' },
        unhealthyAfter: { type: 'integer', minimum: 1, maximum: 100, default: 3, description: 'Bad answers in a row.' },
      },
    },
    passive: {
      type: 'object',
      additionalProperties: false,
      default: {},
      description: 'Learns from live traffic.',
      properties: {
        failures: {
          type: 'integer',
          minimum: 0,
          maximum: 1000,
          default: 5,
          description: 'Failed connections or broken answers in a row that eject a target; 0 = off.',
        },
        ejectMs: milliseconds('How long an ejected target rests.', 10_000),
      },
    },
  },
};

/** Describes an upstream: a named group of targets. */
export const UPSTREAM_SCHEMA: JsonSchema = entity('Upstream', ['name'], {
  name,
  protocol: { enum: ['http', 'https'], default: 'http', description: 'How targets are spoken to.' },
  targets: {
    type: 'array',
    maxItems: MAX_LIST_ITEMS,
    default: [],
    description: 'host:port with a weight.',
    items: {
      type: 'object',
      additionalProperties: false,
      required: ['host', 'port'],
      properties: {
        host: { type: 'string', pattern: '^[A-Za-z0-9_.:-]{1,253}$', description: 'Host name or IP address.' },
        port: { type: 'integer', minimum: 1, maximum: 65_535, description: 'TCP port.' },
        weight: { type: 'integer', minimum: 0, maximum: 65_535, default: 100, description: 'Share; 0 = no traffic.' },
      },
    },
  },
  loadBalancing: {
    enum: ['round-robin', 'least-connections', 'random'],
    default: 'round-robin',
    description: 'How a target is chosen.',
  },
  healthChecks,
  tls: {
    type: 'object',
    additionalProperties: false,
    default: {},
    description: 'TLS toward the targets.',
    properties: {
      verify: { type: 'boolean', default: true, description: 'Verifies the certificate.' },
      serverName: { type: 'string', maxLength: 253, description: 'Server name to send and verify.' },
    },
  },
});

/** Describes a consumer: who calls. */
export const CONSUMER_SCHEMA: JsonSchema = entity('Consumer', ['username'], {
  username: name,
  customId: { type: 'string', minLength: 1, maxLength: 256, description: 'Your own id for it; unique.' },
  groups: listOf(name, 'Names of the groups it is in.'),
});

const condition: JsonSchema = {
  type: 'object',
  additionalProperties: false,
  minProperties: 1,
  description: 'Runs the plugin only on requests that match.',
  properties: { methods, paths, headers: headerMatch, query: queryMatch },
};

/** Describes a binding: plugin + config + scope + order + enabled. */
export const BINDING_SCHEMA: JsonSchema = entity('Binding', ['plugin'], {
  plugin: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,63}$', description: 'Name of an installed plugin.' },
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

const credentialBase: Readonly<Record<string, JsonSchema>> = { tags, ...serverSet };

/** Describes a credential as an admin writes it: one shape per type. */
export const CREDENTIAL_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  'key-auth': {
    title: 'KeyAuthCredential',
    type: 'object',
    additionalProperties: false,
    required: ['type'],
    properties: {
      type: { const: 'key-auth' },
      key: {
        type: 'string',
        minLength: 8,
        maxLength: 512,
        pattern: '^[\\x21-\\x7e]+$',
        description: 'Made when absent.',
      },
      keyHash: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$', description: 'Instead of key, from an export.' },
      ...credentialBase,
    },
  },
  'basic-auth': {
    title: 'BasicAuthCredential',
    type: 'object',
    additionalProperties: false,
    required: ['type', 'username'],
    properties: {
      type: { const: 'basic-auth' },
      username: { type: 'string', minLength: 1, maxLength: 256, pattern: '^[^:\\u0000-\\u001f\\u007f]+$' },
      password: { type: 'string', minLength: 1, maxLength: 256 },
      passwordHash: { type: 'string', maxLength: 512, description: 'Instead of password, from an export.' },
      ...credentialBase,
    },
  },
  jwt: {
    title: 'JwtCredential',
    type: 'object',
    additionalProperties: false,
    required: ['type', 'key', 'algorithm'],
    properties: {
      type: { const: 'jwt' },
      key: { type: 'string', minLength: 1, maxLength: 512, description: 'Value of the `iss` claim.' },
      algorithm: {
        enum: [
          'HS256',
          'HS384',
          'HS512',
          'RS256',
          'RS384',
          'RS512',
          'ES256',
          'ES384',
          'ES512',
          'PS256',
          'PS384',
          'PS512',
        ],
      },
      secret: { type: 'string', minLength: 1, maxLength: 4096, description: 'For HS*; at least 32 bytes for HS256.' },
      secretEncoding: { enum: ['utf8', 'base64url'], default: 'utf8' },
      sealedSecret: { type: 'string', maxLength: 8192, description: 'Instead of secret, from an export.' },
      publicKey: { type: 'string', maxLength: 16_384, description: 'PEM, for RS*, PS*, ES*.' },
      ...credentialBase,
    },
  },
};

/** Describes an admin token. */
export const TOKEN_SCHEMA: JsonSchema = {
  title: 'Token',
  type: 'object',
  additionalProperties: false,
  required: ['name', 'role'],
  properties: {
    name,
    role: { enum: ['owner', 'editor', 'viewer'], description: 'owner: all; editor: configuration; viewer: reads.' },
  },
};

/** Describes a manifest: what a plugin says about itself. */
export const MANIFEST_SCHEMA: JsonSchema = {
  title: 'Plugin manifest',
  type: 'object',
  additionalProperties: false,
  required: ['name', 'version', 'title', 'summary', 'stage', 'hooks', 'scopes', 'failPolicy', 'permissions', 'engines'],
  properties: {
    $schema: { type: 'string' },
    name: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,63}$' },
    version: { type: 'string', pattern: '^\\d+\\.\\d+\\.\\d+$' },
    title: { type: 'string', minLength: 1, maxLength: 80 },
    summary: { type: 'string', minLength: 1, maxLength: 200 },
    stage: { enum: ['observe', 'protect', 'authenticate', 'authorize', 'limit', 'transform', 'route'] },
    hooks: {
      type: 'array',
      minItems: 1,
      uniqueItems: true,
      items: {
        enum: ['onRequest', 'onRequestChunk', 'onUpstreamRequest', 'onResponse', 'onResponseChunk', 'onLog'],
      },
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
          default: [],
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['host', 'reason'],
            properties: { host: { type: 'string' }, reason: { type: 'string', minLength: 1 } },
          },
        },
        secrets: { type: 'array', items: { type: 'string' }, default: [] },
      },
    },
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
        headers: { enum: ['none', 'read', 'write'], default: 'none' },
        path: { enum: ['none', 'read', 'write'], default: 'none' },
        query: { enum: ['none', 'read', 'write'], default: 'none' },
        body: { enum: ['none', 'read', 'write'], default: 'none' },
      },
    },
  },
};

/** Matches a legal HTTP field name. @see RFC 9110 section 5.6.2 */
export const FIELD_NAME: RegExp = new RegExp(TOKEN_PATTERN);
