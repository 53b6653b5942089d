// JSON Schemas of what the marketplace answers, for OpenAPI; and how a body is read.
// Must not hold a handler.
import type { JsonSchema } from '../../../gateway/core/schemas.ts';
import { buildValidator, type Validator } from '../../../gateway/core/validate.ts';
import { invalid } from '../../errors.ts';
import { VERSION_STATES } from '../../marketplace/states.ts';
import { ENVELOPE_SCHEMA, MARKETPLACE_BODIES, type MarketplaceBody } from './schemas.ts';

const text: JsonSchema = { type: 'string' };
const maybe: JsonSchema = { type: ['string', 'null'] };
const count: JsonSchema = { type: 'integer', minimum: 0 };
const state: JsonSchema = { enum: VERSION_STATES };
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });
const refTo = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` });

function object(properties: JsonSchema, optional: JsonSchema = {}): JsonSchema {
  return { type: 'object', required: Object.keys(properties), properties: { ...properties, ...optional } };
}

const rendered: JsonSchema = {
  anyOf: [{ type: 'null' }, object({ text, html: { ...text, description: 'Every tag in it is ours.' } })],
};
const line = {
  id: text,
  namespace: text,
  title: text,
  summary: text,
  categories: listOf(text),
  latestVersion: { ...maybe, description: 'The one to install; null while none is approved.' },
  createdAt: text,
  updatedAt: text,
  publisher: object({ title: text, level: count }),
  pending: { ...count, description: 'Versions that wait for a review, as far as you may see them.' },
};
const health: JsonSchema = {
  ...object({
    installed: { ...maybe, description: 'The version that gateways are to run.' },
    nodes: object({ live: count, running: { ...count, description: 'Live nodes on which it runs.' } }),
    bindings: count,
    calls: count,
    errors: count,
    timeouts: count,
    totalMs: { type: 'number' },
  }),
  description: 'From the traffic of live nodes; only for those who may see the configuration.',
};

/** Holds the schemas by the name that routes give in `gives`. */
export const MARKETPLACE_ANSWERS: Readonly<Record<string, JsonSchema>> = {
  Envelope: ENVELOPE_SCHEMA,
  Publisher: object({
    namespace: text,
    title: text,
    level: count,
    token: maybe,
    origin: { ...maybe, description: 'Keys of the root it was imported under; null = published here.' },
    createdAt: text,
    keys: listOf(object({ keyid: text, publicKey: text, createdAt: text })),
  }),
  MarketplacePlugin: object(line),
  MarketplacePluginShown: object(
    {
      ...line,
      versions: listOf(object({ version: text, sha256: text, state, advisory: maybe, publishedAt: text })),
    },
    { health },
  ),
  MarketplaceVersion: object({
    plugin: text,
    version: text,
    sha256: text,
    manifest: refTo('PluginManifest'),
    configSchema: { type: 'object' },
    envelope: refTo('Envelope'),
    readme: rendered,
    changelog: rendered,
    state,
    advisory: maybe,
    checks: listOf(object({ name: text, result: { enum: ['passed', 'warned', 'failed'] }, detail: text })),
    publishedBy: text,
    publishedAt: text,
    reviewedBy: maybe,
    reviewedAt: maybe,
    reviewNote: maybe,
  }),
  MarketplaceIndex: object({ root: refTo('Envelope'), index: refTo('Envelope') }),
  MarketplaceBundle: object({
    contents: refTo('Envelope'),
    packages: listOf(object({ sha256: text, bytes: { ...text, description: 'Base64.' } })),
  }),
  BundleResult: object({
    added: { ...count, description: 'Versions that were not here.' },
    changed: { ...count, description: 'Versions whose state changed.' },
    rootVersion: count,
    indexVersion: count,
    isExpired: { type: 'boolean', description: 'The index of the bundle has expired; get a fresh one.' },
  }),
};

const validators = new Map<MarketplaceBody, Validator>();

/** Reads the body of a route by its schema. @throws CONFIG_INVALID */
export function readMarketplaceBody<Body>(name: MarketplaceBody, body: unknown): Body {
  const check = validators.get(name) ?? buildValidator(MARKETPLACE_BODIES[name]);
  validators.set(name, check);
  const problems = check(body);
  if (problems.length > 0) throw invalid(problems);
  return body as Body;
}
