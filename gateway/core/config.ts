// Reads single entities and keeps the document: its state, its updates.
// Must not compile anything for traffic (snapshot.ts) and must not touch I/O. Checks across entities are in check.ts.
import { editMap } from './document/layered-map.ts';
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
  Install,
  Update,
  Upstream,
} from './model.ts';
import { buildSafePattern } from './routing/safe-pattern.ts';
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
} from './schemas.ts';
import type { Steps } from './slicer.ts';
import { buildValidator, type Validator } from './validate.ts';

/** Is the whole configuration at one revision, by id. Maps are never changed in place: equal identity = equal content. */
export interface DocumentState {
  readonly revision: number;
  readonly certificates: ReadonlyMap<string, Certificate>;
  readonly apis: ReadonlyMap<string, Api>;
  readonly upstreams: ReadonlyMap<string, Upstream>;
  readonly installs: ReadonlyMap<string, Install>;
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
  installs: new Map(),
  bindings: new Map(),
  consumers: new Map(),
  credentials: new Map(),
};

/** Lists every kind of entity, so that nothing refers to something later. */
export const KINDS: readonly EntityKind[] = [
  'certificate',
  'upstream',
  'api',
  'consumer',
  'credential',
  'install',
  'binding',
];

/** Maps each kind to its map in the state. */
const MAP_OF: Readonly<Record<EntityKind, Exclude<keyof DocumentState, 'revision'>>> = {
  certificate: 'certificates',
  upstream: 'upstreams',
  api: 'apis',
  consumer: 'consumers',
  credential: 'credentials',
  install: 'installs',
  binding: 'bindings',
};

/** Gives the map of one kind. */
export function mapOf<Kind extends EntityKind>(state: DocumentState, kind: Kind): ReadonlyMap<string, EntityOf[Kind]> {
  return state[MAP_OF[kind]] as unknown as ReadonlyMap<string, EntityOf[Kind]>;
}

/** Numbers a state, with other maps in the place of some. */
export function replaceMaps(
  state: DocumentState,
  revision: number,
  maps: Iterable<readonly [EntityKind, ReadonlyMap<string, EntityOf[EntityKind]>]>,
): DocumentState {
  const replaced = Object.fromEntries(Array.from(maps, ([kind, map]) => [MAP_OF[kind], map]));
  // Each map was made from the one of its own kind; the pair of kind and entity cannot be told to the compiler.
  return { ...state, ...replaced, revision };
}

/** Names entities: for each kind that is there, ids. */
export type EntityIds = ReadonlyMap<EntityKind, ReadonlySet<string>>;

/** Gathers the ids of what is named, such as the changes of an update; each once. */
export function* gatherIds(named: Iterable<{ readonly kind: EntityKind; readonly id: string }>): Steps<EntityIds> {
  const ids = new Map<EntityKind, Set<string>>();
  for (const { kind, id } of named) {
    const known = ids.get(kind);
    if (known) known.add(id);
    else ids.set(kind, new Set([id]));
    yield;
  }
  return ids;
}

/** Names what `readInput` reads: an entity as an admin writes it. */
export type InputKind =
  | 'certificate'
  | 'api'
  | 'route'
  | 'upstream'
  | 'consumer'
  | 'install'
  | 'canary'
  | 'shadow'
  | 'replay'
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
  install: INSTALL_SCHEMA,
  canary: CANARY_SCHEMA,
  shadow: SHADOW_SCHEMA,
  replay: REPLAY_SCHEMA,
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
  return runValidator(validatorOf(plugin), config);
}

/** Compiles the schemas of plugins ahead of need: one takes up to 30 ms, for which no request should wait. */
export function* compileConfigSchemas(plugins: Iterable<InstalledPlugin>): Steps<void> {
  for (const plugin of plugins) {
    try {
      validatorOf(plugin);
    } catch {
      // A schema that is none harms who binds the plugin, and nobody before.
    }
    yield;
  }
}

function validatorOf(plugin: InstalledPlugin): Validator {
  const known = configValidators.get(plugin);
  if (known) return known;
  // The schemas of packages come from strangers, whose patterns must not hold us up.
  const isFromPackage = plugin.manifest.name.includes('/');
  const validator = buildValidator(plugin.configSchema, isFromPackage ? { buildPattern: buildSafePattern } : {});
  configValidators.set(plugin, validator);
  return validator;
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

/** Brings a document to an update's revision, in a time that does not grow with it. Untouched maps keep their identity. */
export function* applyUpdate(state: DocumentState, update: Update): Steps<DocumentState> {
  const base = update.isReset ? EMPTY_DOCUMENT : state;
  const edits = new Map(KINDS.map((kind) => [kind, editMap<EntityOf[EntityKind]>(mapOf(base, kind))]));
  for (const { kind, id, after } of update.changes) {
    if (after === undefined) edits.get(kind)?.delete(id);
    else edits.get(kind)?.set(id, after);
    yield;
  }
  const maps = new Map<EntityKind, ReadonlyMap<string, EntityOf[EntityKind]>>();
  for (const [kind, edit] of edits) maps.set(kind, yield* edit.build());
  return replaceMaps(base, update.revision, maps);
}

/** Gives the whole document as changes, in an order in which nothing refers to something later. */
export function listChanges(state: DocumentState): Change[] {
  const changes: Change[] = [];
  for (const kind of KINDS) {
    for (const [id, after] of mapOf(state, kind)) changes.push({ kind, id, after } as Change);
  }
  return changes;
}
