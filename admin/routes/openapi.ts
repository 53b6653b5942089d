// Describes the admin service in OpenAPI 3.1, from the table of routes and the schemas that validate.
// Must not describe what is not in either.
import {
  API_SCHEMA,
  BINDING_SCHEMA,
  CANARY_SCHEMA,
  CERTIFICATE_SCHEMA,
  CONSUMER_SCHEMA,
  CREDENTIAL_SCHEMAS,
  INSTALL_SCHEMA,
  type JsonSchema,
  MANIFEST_SCHEMA,
  REPLAY_SCHEMA,
  ROUTE_SCHEMA,
  SHADOW_SCHEMA,
  TOKEN_SCHEMA,
  UPSTREAM_SCHEMA,
} from '../../gateway/core/schemas.ts';
import type { RouteSpec } from '../call.ts';
import { QUERY_PARAMETERS } from '../middleware/query.ts';
import { ANSWER_SCHEMAS } from './answer-schemas.ts';
import { EXPLAIN_SCHEMA } from './explain-schema.ts';
import { MARKETPLACE_ANSWERS } from './marketplace/answers.ts';
import { MARKETPLACE_BODIES } from './marketplace/schemas.ts';

const MEDIA_TYPES = {
  json: ['application/json'],
  package: ['application/json'],
  bundle: ['application/json'],
  'merge-patch': ['application/merge-patch+json', 'application/json'],
  config: ['application/json', 'application/yaml'],
} as const;

const refTo = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });
const listOf = (name: string): JsonSchema => ({ type: 'array', items: refTo(name) });

const PROBLEM: JsonSchema = {
  title: 'Problem',
  description: 'RFC 9457 problem document.',
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code', 'problems'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    problems: {
      type: 'array',
      items: {
        type: 'object',
        required: ['pointer', 'message'],
        properties: {
          pointer: { type: 'string', description: 'JSON pointer into the body.' },
          message: { type: 'string' },
        },
      },
    },
  },
};

const ENTITIES: Readonly<Record<string, JsonSchema>> = {
  Api: API_SCHEMA,
  Route: ROUTE_SCHEMA,
  Certificate: CERTIFICATE_SCHEMA,
  Upstream: UPSTREAM_SCHEMA,
  Consumer: CONSUMER_SCHEMA,
  Credential: {
    oneOf: Object.values(CREDENTIAL_SCHEMAS).map((schema) => refTo(String(schema['title']))),
    discriminator: {
      propertyName: 'type',
      mapping: Object.fromEntries(
        Object.entries(CREDENTIAL_SCHEMAS).map(([type, schema]) => [
          type,
          String(refTo(String(schema['title']))['$ref']),
        ]),
      ),
    },
  },
  Install: INSTALL_SCHEMA,
  CanaryInput: CANARY_SCHEMA,
  ShadowInput: SHADOW_SCHEMA,
  ReplayInput: REPLAY_SCHEMA,
  Binding: BINDING_SCHEMA,
};

/** What a list holds is named like the list, but for these. */
const LISTED: Readonly<Record<string, string>> = { TokenShown: 'Token', AuditEvent: 'Audit' };

/** Lists what OpenAPI calls component schemas. */
function buildSchemas(): Readonly<Record<string, JsonSchema>> {
  const answered = [
    'TokenShown',
    'Plugin',
    'Revision',
    'Node',
    'AuditEvent',
    'Publisher',
    'MarketplacePlugin',
    'RecordedRequest',
  ];
  const listed = [...Object.keys(ENTITIES), ...answered];
  const lists = listed.map((name) => [
    `${LISTED[name] ?? name}List`,
    {
      type: 'object',
      required: ['data', 'next'],
      properties: { data: listOf(name), next: { type: ['string', 'null'], description: 'Cursor of the next page.' } },
    },
  ]);
  const credentials = Object.values(CREDENTIAL_SCHEMAS).map((schema) => [String(schema['title']), schema]);
  return {
    ...ENTITIES,
    ...Object.fromEntries(credentials),
    ...Object.fromEntries(lists),
    PluginManifest: relocate(MANIFEST_SCHEMA, 'PluginManifest'),
    ...ANSWER_SCHEMAS,
    ...MARKETPLACE_ANSWERS,
    ...MARKETPLACE_BODIES,
    Token: TOKEN_SCHEMA,
    ExplainRequest: EXPLAIN_SCHEMA,
    Config: {
      type: 'object',
      additionalProperties: false,
      properties: {
        certificates: listOf('Certificate'),
        upstreams: listOf('Upstream'),
        apis: listOf('Api'),
        consumers: {
          type: 'array',
          items: {
            ...CONSUMER_SCHEMA,
            properties: { ...(CONSUMER_SCHEMA['properties'] as JsonSchema), credentials: listOf('Credential') },
          },
        },
        installs: listOf('Install'),
        bindings: listOf('Binding'),
      },
    },
    Problem: PROBLEM,
  };
}

/** Points references inside a schema to its place among the components. */
function relocate(schema: JsonSchema, name: string): JsonSchema {
  return JSON.parse(JSON.stringify(schema).replaceAll('"#/', `"#/components/schemas/${name}/`));
}

/** Builds the description. */
export function buildOpenApi(routes: readonly RouteSpec[], version: string): Readonly<Record<string, unknown>> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}');
    const operations = paths[path] ?? {};
    operations[route.method.toLowerCase()] = describe(route);
    paths[path] = operations;
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Sallyport admin', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    security: [{ token: [] }],
    paths,
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } }, schemas: buildSchemas() },
  };
}

function describe(route: RouteSpec): Readonly<Record<string, unknown>> {
  const { body, takes } = route;
  const inPath = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const inQuery = (route.query ?? []).map((name) => {
    const { description, ...schema } = QUERY_PARAMETERS[name];
    return { name, in: 'query', description, schema };
  });
  return {
    operationId: `${route.method.toLowerCase()}${route.path.replace(/[/:.-]+(\w)/g, (_, first: string) => first.toUpperCase())}`,
    summary: route.summary,
    ...(route.role === 'public' ? { security: [] } : { 'x-role': route.role }),
    parameters: [...inPath, ...inQuery, ...listConditions(route)],
    ...(body === undefined || takes === undefined
      ? {}
      : {
          requestBody: {
            required: true,
            content: Object.fromEntries(MEDIA_TYPES[body].map((type) => [type, { schema: refTo(takes) }])),
          },
        }),
    responses: describeAnswers(route),
  };
}

/** Lists the conditional headers of writes that replace, change or delete. @see RFC 9110 section 13.1 */
function listConditions({ method, query = [] }: RouteSpec): readonly unknown[] {
  const isConditional = method !== 'POST' && query.includes('wait');
  if (!isConditional) return [];
  const header = (name: string, description: string): unknown => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  });
  const ifMatch = header('If-Match', 'ETag of what was read; 412 when it has changed since.');
  return method === 'PUT' ? [ifMatch, header('If-None-Match', '`*` only creates.')] : [ifMatch];
}

function describeAnswers(route: RouteSpec): Readonly<Record<string, unknown>> {
  const { method, path, body, gives, givesBytes, query = [], status = 200 } = route;
  const isYamlToo = path === '/v1/config' && method === 'GET';
  const types = isYamlToo ? MEDIA_TYPES.config : MEDIA_TYPES.json;
  const contentOf = (name: string): unknown => Object.fromEntries(types.map((type) => [type, { schema: refTo(name) }]));
  const bytes = givesBytes && { content: { [givesBytes]: { schema: { type: 'string', format: 'binary' } } } };
  const content = bytes ?? (gives === undefined || status === 204 ? {} : { content: contentOf(gives) });
  const isUpsert = method === 'PUT' && body === 'json';
  const isPreviewed = query.includes('dryRun') && status !== 200;
  return {
    ...(isPreviewed ? { 200: { description: 'What a dry run would do.', content: contentOf('Diff') } } : {}),
    [status]: { description: 'Done.', ...content },
    ...(isUpsert ? { 201: { description: 'Created.', ...content } } : {}),
    default: {
      description: 'Refused or failed; `code` says why.',
      content: { 'application/problem+json': { schema: refTo('Problem') } },
    },
  };
}
