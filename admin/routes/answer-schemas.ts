// JSON Schemas of what only the admin service says: tokens, revisions, diffs, nodes, audit, explanations. OpenAPI shows them.
// Must not describe what people write: those schemas validate, and are in gateway/core/schemas.
import type { JsonSchema } from '../../gateway/core/schemas.ts';

const text: JsonSchema = { type: 'string' };
const count: JsonSchema = { type: 'integer', minimum: 0 };
const time: JsonSchema = { type: 'string', format: 'date-time' };
const flag: JsonSchema = { type: 'boolean' };
const orNull: JsonSchema = { type: ['string', 'null'] };
const anything: JsonSchema = {};
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items });

/** Describes an object of which all properties are there, but those in `optional`. */
function object(
  properties: Readonly<Record<string, JsonSchema>>,
  optional: Readonly<Record<string, JsonSchema>> = {},
): JsonSchema {
  return { type: 'object', required: Object.keys(properties), properties: { ...properties, ...optional } };
}

const counts = object({ create: count, update: count, delete: count });
const field = object({ pointer: text }, { before: anything, after: anything });
const change = object(
  { kind: text, id: text, action: { enum: ['create', 'update', 'delete'] } },
  { name: text, diff: listOf(field) },
);
const scope: JsonSchema = { type: 'object', additionalProperties: text };
const problem = object({ pointer: text, message: text }, { code: text });
const installProblem: JsonSchema = {
  anyOf: [{ type: 'null' }, object({ pointer: text, code: text, message: text })],
};
const bound = object({ plugin: text, binding: text });

const explainedPlugin = object(
  {
    plugin: text,
    stage: text,
    order: { type: 'integer' },
    binding: text,
    scope,
    isConditional: flag,
    beats: listOf(object({ binding: text, scope, effect: text })),
  },
  { name: text },
);

const side = object({
  version: text,
  exchanges: count,
  calls: count,
  errors: count,
  timeouts: count,
  refusals: count,
  totalMs: { type: 'number', description: 'Time of all its hooks.' },
});
const difference = object(
  { place: text, kind: { enum: ['added', 'removed', 'changed'] } },
  { name: text, installed: text, candidate: text },
);
/** What two versions do differently over many exchanges. */
const comparison: Readonly<Record<string, JsonSchema>> = {
  compared: count,
  differing: { ...count, description: 'How many of them differ.' },
  kinds: {
    type: 'object',
    additionalProperties: count,
    description: 'In how many exchanges each difference was found.',
  },
  examples: listOf(
    object({ method: text, host: text, path: text, api: text, route: text, differences: listOf(difference) }),
  ),
};

/** Holds the schemas by the name that routes give in `gives`. */
export const ANSWER_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  Liveness: object({ status: { const: 'live' } }),
  OpenApi: { type: 'object' },
  TokenShown: object(
    { id: text, name: text, role: { enum: ['owner', 'editor', 'viewer', 'publisher', 'reviewer'] }, createdAt: time },
    { lastUsedAt: { type: ['string', 'null'] }, token: { ...text, description: 'Only in the answer that makes it.' } },
  ),
  Plugin: object({
    name: text,
    version: text,
    source: text,
    manifest: { $ref: '#/components/schemas/PluginManifest' },
    configSchema: { type: 'object' },
    installedAt: time,
    bindings: count,
    health: object({ calls: count, errors: count, timeouts: count, totalMs: { type: 'number' } }),
    incidents: {
      ...listOf(
        object(
          { node: text, plugin: text, binding: text, isAside: flag },
          { previous: object({ version: orNull, isRunning: flag, problem: orNull }) },
        ),
      ),
      description: 'The last time that a node put a binding of it aside: the failure, and a request that met it.',
    },
  }),
  Revision: object(
    { number: count, createdAt: time, actor: text, summary: text, changeCount: count },
    { counts, changes: listOf(change) },
  ),
  Diff: object(
    { counts, changes: { ...listOf(change), description: 'At most 1000; `counts` has all.' } },
    { isDryRun: flag, problems: listOf(problem), from: count, to: count, rolledBackTo: count },
  ),
  Node: object({
    id: text,
    name: text,
    mode: text,
    version: text,
    startedAt: time,
    lastSeenAt: time,
    isLive: { ...flag, description: 'Seen within 15 seconds.' },
    revision: { ...count, description: 'The one it runs.' },
    offeredRevision: count,
    refusal: {
      description: 'Why it does not run the offered one.',
      anyOf: [{ type: 'null' }, object({ revision: count, problems: listOf(problem), at: time })],
    },
    workers: listOf(object({ pid: count, revision: count })),
    plugins: {
      description: 'What runs of each install, and why that is not what is wanted.',
      ...listOf(
        object(
          { plugin: text, wanted: text, running: orNull, problem: installProblem },
          { previous: object({ version: text, problem: installProblem }, { isRunning: flag }) },
        ),
      ),
    },
    health: { type: 'object' },
  }),
  Canary: object(
    {
      version: text,
      percent: { type: 'number' },
      key: text,
      startedAt: time,
      runningSeconds: { type: 'number' },
      stable: { type: 'object' },
      canary: { type: 'object' },
      withdrawn: { ...count, description: 'Bindings on which it was set aside, or could not be set up.' },
      verdict: object({ decision: { enum: ['wait', 'promote', 'revert'] }, reason: text }),
    },
    { incident: { type: 'object', description: 'The failure that set it aside last, with a request that met it.' } },
  ),
  Shadow: object({
    version: text,
    percent: { type: 'number' },
    startedAt: time,
    ...comparison,
    installed: side,
    candidate: side,
    dropped: { ...count, description: 'Exchanges that were not looked at: there was too much to do.' },
    skipped: { ...count, description: 'Exchanges that cannot be compared, such as for a body that nobody had read.' },
    withdrawn: { ...count, description: 'Bindings on which the candidate was set aside, or could not be set up.' },
  }),
  Replay: object({
    plugin: text,
    version: text,
    api: text,
    binding: { type: ['string', 'null'], description: 'Whose configuration was taken.' },
    ...comparison,
    notRun: { ...count, description: 'Requests for which the time did not suffice.' },
    candidate: side,
    installed: {
      anyOf: [{ type: 'null' }, side],
      description: 'Null = none is installed: compared with no plugin at all.',
    },
    incidents: { ...listOf(text), description: 'What the sandbox had to stop or refuse in the candidate.' },
  }),
  RecordedRequest: object(
    {
      atMs: { type: 'number' },
      api: object({ id: text, name: text }),
      route: object({ id: text, name: text }),
      httpVersion: text,
      scheme: text,
      method: text,
      host: text,
      path: text,
      query: { ...text, description: 'Names alone; values are withheld, as in headers that may hold a secret.' },
      headers: listOf(listOf(text)),
      hasBody: flag,
    },
    {
      consumer: object({ username: text, groups: listOf(text) }),
      answer: object({ status: count, headers: listOf(listOf(text)) }),
    },
  ),
  UpstreamHealth: object({
    data: listOf(
      object({
        host: text,
        port: count,
        weight: count,
        nodes: listOf(object({ id: text, name: text, isHealthy: flag })),
      }),
    ),
    next: { type: 'null' },
  }),
  AuditEvent: object({
    id: count,
    createdAt: time,
    actor: text,
    action: text,
    entityKind: text,
    entityId: text,
    revision: { type: ['integer', 'null'] },
    diff: listOf(field),
  }),
  Explanation: object(
    {
      considered: listOf(object({ api: text, route: text, path: text, verdict: text })),
      plugins: listOf(explainedPlugin),
      excluded: listOf(bound),
      skipped: { ...listOf(bound), description: 'Bound here, but their `when` does not match.' },
    },
    {
      canonicalPath: text,
      error: object({ code: text, detail: text }),
      route: object({ api: text, apiId: text, route: text, routeId: text }),
      target: object({ upstream: text, path: text }),
    },
  ),
};
