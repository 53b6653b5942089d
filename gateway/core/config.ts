// Reads single entities and keeps the document: its state, its updates.
// Must not compile anything for traffic (snapshot.ts) and must not touch I/O. Checks across entities are in check.ts.
import { ConfigError, type Problem } from './errors.ts';
import type { InstalledPlugin, Manifest } from './manifest.ts';
import type {
  Api,
  Binding,
  Certificate,
  Change,
  Consumer,
  Credential,
  EntityKind,
  EntityOf,
  Update,
  Upstream,
} from './model.ts';
import {
  API_SCHEMA,
  BINDING_SCHEMA,
  CERTIFICATE_SCHEMA,
  CONSUMER_SCHEMA,
  CREDENTIAL_SCHEMAS,
  type JsonSchema,
  MANIFEST_SCHEMA,
  ROUTE_SCHEMA,
  TOKEN_SCHEMA,
  UPSTREAM_SCHEMA,
} from './schemas.ts';
import { buildValidator, type Validator } from './validate.ts';

/** Is the whole configuration at one revision, by id. Maps are never changed in place: equal identity = equal content. */
export interface DocumentState {
  readonly revision: number;
  readonly certificates: ReadonlyMap<string, Certificate>;
  readonly apis: ReadonlyMap<string, Api>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly bindings: ReadonlyMap<string, Binding>;
  readonly consumers: ReadonlyMap<string, Consumer>;
  readonly credentials: ReadonlyMap<string, Credential>;
}

/** Is the document before the first revision. */
export const EMPTY_DOCUMENT: DocumentState = {
  revision: 0,
  certificates: new Map(),
  apis: new Map(),
  upstreams: new Map(),
  bindings: new Map(),
  consumers: new Map(),
  credentials: new Map(),
};

/** Lists every kind of entity, so that nothing refers to something later. */
export const KINDS: readonly EntityKind[] = ['certificate', 'upstream', 'api', 'consumer', 'credential', 'binding'];

/** Names what `readInput` reads: an entity as an admin writes it. */
export type InputKind =
  | 'certificate'
  | 'api'
  | 'route'
  | 'upstream'
  | 'consumer'
  | 'binding'
  | 'token'
  | `credential:${string}`;

/** Gives the value with defaults filled, or why not. */
export type ReadResult = { readonly ok: true; readonly value: Record<string, unknown> } | ReadFailure;

/** Says what was wrong with an input. */
export interface ReadFailure {
  readonly ok: false;
  readonly problems: readonly Problem[];
}

const INPUT_SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  certificate: CERTIFICATE_SCHEMA,
  api: API_SCHEMA,
  route: ROUTE_SCHEMA,
  upstream: UPSTREAM_SCHEMA,
  consumer: CONSUMER_SCHEMA,
  binding: BINDING_SCHEMA,
  token: TOKEN_SCHEMA,
};

// Compiling a schema takes milliseconds; each is compiled once, when first needed.
const validators = new Map<string, Validator>();
const configValidators = new WeakMap<InstalledPlugin, Validator>();

/** Checks one entity against its schema and fills defaults. `input` is copied, never changed. */
export function readInput(kind: InputKind, input: unknown): ReadResult {
  let validator = validators.get(kind);
  if (!validator) {
    const schema = kind.startsWith('credential:') ? CREDENTIAL_SCHEMAS[kind.slice(11)] : INPUT_SCHEMAS[kind];
    if (!schema) return failure('/type', `expected one of ${Object.keys(CREDENTIAL_SCHEMAS).join(', ')}`);
    validator = buildValidator(schema);
    validators.set(kind, validator);
  }
  return runValidator(validator, input);
}

/** Checks a plugin's configuration against its own schema and fills defaults. Pointers are relative to the configuration. */
export function readPluginConfig(plugin: InstalledPlugin, config: unknown): ReadResult {
  let validator = configValidators.get(plugin);
  if (!validator) {
    validator = buildValidator(plugin.configSchema);
    configValidators.set(plugin, validator);
  }
  return runValidator(validator, config);
}

/** Checks a manifest. @throws ConfigError naming each fault. */
export function readManifest(input: unknown): Manifest {
  const validator = validators.get('manifest') ?? buildValidator(MANIFEST_SCHEMA);
  validators.set('manifest', validator);
  const value = structuredClone(input);
  const problems = validator(value);
  if (problems.length > 0) throw new ConfigError(problems);
  return value as Manifest;
}

function runValidator(validator: Validator, input: unknown): ReadResult {
  const value: unknown = structuredClone(input);
  const problems = validator(value);
  if (problems.length > 0) return { ok: false, problems };
  return { ok: true, value: value as Record<string, unknown> };
}

function failure(pointer: string, message: string): ReadFailure {
  return { ok: false, problems: [{ pointer, code: 'INVALID', message }] };
}

/** Brings a document to an update's revision. Untouched maps keep their identity. */
export function applyUpdate(state: DocumentState, update: Update): DocumentState {
  const base = update.isReset ? EMPTY_DOCUMENT : state;
  return {
    revision: update.revision,
    certificates: applyChanges(base.certificates, update.changes, 'certificate'),
    apis: applyChanges(base.apis, update.changes, 'api'),
    upstreams: applyChanges(base.upstreams, update.changes, 'upstream'),
    bindings: applyChanges(base.bindings, update.changes, 'binding'),
    consumers: applyChanges(base.consumers, update.changes, 'consumer'),
    credentials: applyChanges(base.credentials, update.changes, 'credential'),
  };
}

function applyChanges<Kind extends EntityKind>(
  map: ReadonlyMap<string, EntityOf[Kind]>,
  changes: readonly Change[],
  kind: Kind,
): ReadonlyMap<string, EntityOf[Kind]> {
  const own = changes.filter((change) => change.kind === kind);
  if (own.length === 0) return map;

  const next = new Map(map);
  for (const change of own) {
    if (change.after === undefined) next.delete(change.id);
    else next.set(change.id, change.after as EntityOf[Kind]);
  }
  return next;
}

/** Gives the whole document as changes, in an order in which nothing refers to something later. */
export function listChanges(state: DocumentState): Change[] {
  const changes: Change[] = [];
  for (const [id, after] of state.certificates) changes.push({ kind: 'certificate', id, after });
  for (const [id, after] of state.upstreams) changes.push({ kind: 'upstream', id, after });
  for (const [id, after] of state.apis) changes.push({ kind: 'api', id, after });
  for (const [id, after] of state.consumers) changes.push({ kind: 'consumer', id, after });
  for (const [id, after] of state.credentials) changes.push({ kind: 'credential', id, after });
  for (const [id, after] of state.bindings) changes.push({ kind: 'binding', id, after });
  return changes;
}
