// Builds the routes that every kind of entity has alike: list, create, show, upsert, patch, delete.
// Must not know a kind: what differs comes in as a `Resource`.
import type { EntityProblem } from '../../gateway/core/check.ts';
import { type DocumentState, type InputKind, mapOf } from '../../gateway/core/config.ts';
import type { EntityKind, EntityOf } from '../../gateway/core/model.ts';
import { answerPage, answerWrite, buildEtag, checkPreconditions } from '../answers.ts';
import type { Answer, Call, RouteSpec } from '../call.ts';
import { type Draft, nameOf } from '../document/draft.ts';
import { mergePatch } from '../document/merge-patch.ts';
import { findEntity, type Input, isId, isRecord, readEntity } from '../document/read.ts';
import { AdminError, invalidField } from '../errors.ts';

/** Query parameters of every write. */
export const WRITE_QUERY = ['dryRun', 'wait', 'waitMs'] as const;

/** Query parameters of every list. */
const LIST_QUERY = ['limit', 'cursor', 'search', 'tag'] as const;

/** Is what the entities of a nested path belong to. */
export interface Parent<Entity> {
  readonly id: string;
  owns(entity: Entity): boolean;
  /** Puts what the path says into a body. */
  adopt(body: unknown): unknown;
}

/** Is what one entity is made from. */
export interface Making<Entity> {
  readonly call: Call;
  readonly draft: Draft;
  readonly existing: Entity | undefined;
  readonly parentId: string | undefined;
}

/** Is an entity put into the draft and, when the server made a secret for it, what to show once. */
export interface Made<Entity> {
  readonly entity: Entity;
  readonly shown?: Readonly<Record<string, unknown>>;
}

/** Says what is special about one kind. */
export interface Resource<Kind extends EntityKind> {
  readonly kind: Kind;
  /** Path of the collection, such as `/v1/apis`. */
  readonly path: string;
  /** Name of the path parameter of one entity. */
  readonly parameter: string;
  /** Name of the schema in OpenAPI. */
  readonly title: string;
  readonly nameField?: 'name' | 'username';
  readonly inputKind: (body: unknown) => InputKind;
  readonly make: (input: Input, making: Making<EntityOf[Kind]>) => Made<EntityOf[Kind]>;
  readonly remove: (draft: Draft, entity: EntityOf[Kind]) => void;
  readonly show?: (entity: EntityOf[Kind]) => Input;
  /** Prepares a body before the write begins. */
  readonly prepare?: (body: unknown, call: Call) => Promise<unknown>;
  readonly findParent?: (state: DocumentState, call: Call) => Parent<EntityOf[Kind]>;
  readonly textOf: (entity: EntityOf[Kind]) => string;
  readonly keyOf: (entity: EntityOf[Kind]) => string;
  /** Gives the path of an entity, for Location. */
  readonly locationOf?: (entity: EntityOf[Kind], call: Call) => string;
}

/** Builds the table of routes of one kind. */
export function buildResourceRoutes<Kind extends EntityKind>(resource: Resource<Kind>): RouteSpec[] {
  const { path, title, kind } = resource;
  const one = `${path}/:${resource.parameter}`;
  const reads = { role: 'viewer', gives: title } as const;
  const writes = { role: 'editor', query: WRITE_QUERY, takes: title, gives: title } as const;
  const remove = { role: 'editor', query: WRITE_QUERY, status: 204 } as const;
  return [
    {
      ...reads,
      method: 'GET',
      path,
      summary: `List ${kind}s`,
      gives: `${title}List`,
      query: LIST_QUERY,
      handle: (call) => list(resource, call),
    },
    {
      ...writes,
      method: 'POST',
      path,
      summary: `Create ${kind}`,
      status: 201,
      body: 'json',
      handle: (call) => create(resource, call),
    },
    { ...reads, method: 'GET', path: one, summary: `Show ${kind}`, handle: (call) => show(resource, call) },
    {
      ...writes,
      method: 'PUT',
      path: one,
      summary: `Create or replace ${kind}`,
      body: 'json',
      handle: (call) => put(resource, call),
    },
    {
      ...writes,
      method: 'PATCH',
      path: one,
      summary: `Change ${kind}`,
      body: 'merge-patch',
      handle: (call) => patch(resource, call),
    },
    { ...remove, method: 'DELETE', path: one, summary: `Delete ${kind}`, handle: (call) => removeOne(resource, call) },
  ];
}

async function list<Kind extends EntityKind>(resource: Resource<Kind>, call: Call): Promise<Answer> {
  const state = await call.services.publisher.read();
  const parent = resource.findParent?.(state, call);
  const all = mapOf(state, resource.kind).values();
  const items = parent === undefined ? all : [...all].filter((entity) => parent.owns(entity));
  const page = answerPage(call, items, {
    keyOf: resource.keyOf,
    textOf: resource.textOf,
    tagsOf: (entity) => entity.tags,
    show: (entity) => showEntity(resource, entity),
  });
  return { ...page, revision: state.revision };
}

async function show<Kind extends EntityKind>(resource: Resource<Kind>, call: Call): Promise<Answer> {
  const state = await call.services.publisher.read();
  const entity = findOwn(resource, call, state);
  return { body: showEntity(resource, entity), etag: buildEtag(entity), revision: state.revision };
}

async function create<Kind extends EntityKind>(resource: Resource<Kind>, call: Call): Promise<Answer> {
  const body = (await resource.prepare?.(call.body, call)) ?? call.body;
  return await writeOne(resource, call, 'create', (draft) => {
    const parent = resource.findParent?.(draft.base, call);
    const input = readBody(resource, parent === undefined ? body : parent.adopt(body));
    const id = input['id'];
    if (typeof id === 'string' && draft.get(resource.kind, id) !== undefined) {
      throw new AdminError('CONFLICT', `There is a ${resource.kind} with id ${id} already.`);
    }
    return { ...resource.make(input, { call, draft, existing: undefined, parentId: parent?.id }), isNew: true };
  });
}

async function put<Kind extends EntityKind>(resource: Resource<Kind>, call: Call): Promise<Answer> {
  const body = (await resource.prepare?.(call.body, call)) ?? call.body;
  return await writeOne(resource, call, 'put', (draft) => {
    const parent = resource.findParent?.(draft.base, call);
    const existing = findOwn(resource, call, draft.base, true);
    checkPreconditions(call, existing === undefined ? undefined : buildEtag(existing));
    const adopted = parent === undefined ? body : parent.adopt(body);
    const named = existing === undefined ? nameByPath(resource, call, adopted) : keepName(resource, call, adopted);
    const input = readBody(resource, named);
    if (existing === undefined) checkFreeId(resource, draft, input);
    return { ...resource.make(input, { call, draft, existing, parentId: parent?.id }), isNew: existing === undefined };
  });
}

async function patch<Kind extends EntityKind>(resource: Resource<Kind>, call: Call): Promise<Answer> {
  if (!isRecord(call.body)) throw invalidField('', 'expected an object');
  const body = (await resource.prepare?.(call.body, call)) ?? call.body;
  return await writeOne(resource, call, 'update', (draft) => {
    const parent = resource.findParent?.(draft.base, call);
    const existing = findOwn(resource, call, draft.base);
    checkPreconditions(call, buildEtag(existing));
    const input = readBody(resource, mergePatch(showEntity(resource, existing), body));
    return { ...resource.make(input, { call, draft, existing, parentId: parent?.id }), isNew: false };
  });
}

async function removeOne<Kind extends EntityKind>(resource: Resource<Kind>, call: Call): Promise<Answer> {
  const { kind } = resource;
  return await answerWrite(call, {
    action: `${kind}.delete`,
    summary: `delete ${kind} ${call.params[resource.parameter]}`,
    change: (draft) => {
      const existing = findOwn(resource, call, draft.base);
      checkPreconditions(call, buildEtag(existing));
      resource.remove(draft, existing);
    },
    answer: () => ({ status: 204 }),
  });
}

interface Written<Entity> extends Made<Entity> {
  readonly isNew: boolean;
}

async function writeOne<Kind extends EntityKind>(
  resource: Resource<Kind>,
  call: Call,
  verb: 'create' | 'put' | 'update',
  change: (draft: Draft) => Written<EntityOf[Kind]>,
): Promise<Answer> {
  const { kind, path, locationOf } = resource;
  let written: EntityOf[Kind] | undefined;
  return await answerWrite(call, {
    action: `${kind}.${verb}`,
    summary: `${verb} ${kind} ${call.params[resource.parameter] ?? readName(call.body)}`.trim(),
    change: (draft) => {
      const made = change(draft);
      written = made.entity;
      return made;
    },
    locate: (problem) => locate(problem, kind, written?.id),
    answer: ({ entity, shown, isNew }) => {
      const collection = path.replace(/:(\w+)/g, (_, name: string) => encodeURIComponent(call.params[name] ?? ''));
      const location = locationOf?.(entity, call) ?? `${collection}/${entity.id}`;
      return {
        status: isNew ? 201 : 200,
        body: { ...showEntity(resource, entity), ...shown },
        etag: buildEtag(entity),
        ...(isNew ? { location } : {}),
      };
    },
  });
}

/** Points into the body when the problem is in the entity written, else names the other entity. */
function locate(problem: EntityProblem, kind: EntityKind, id: string | undefined): string {
  return problem.kind === kind && problem.id === id
    ? problem.pointer
    : `/${problem.kind}s/${problem.id}${problem.pointer}`;
}

function readBody<Kind extends EntityKind>(resource: Resource<Kind>, body: unknown): Input {
  return readEntity(resource.inputKind(body), body);
}

function readName(body: unknown): string {
  const name = isRecord(body) ? (body['name'] ?? body['username'] ?? body['plugin'] ?? body['type']) : undefined;
  return typeof name === 'string' ? name.slice(0, 128) : '';
}

function showEntity<Kind extends EntityKind>(resource: Resource<Kind>, entity: EntityOf[Kind]): Input {
  return resource.show?.(entity) ?? { ...entity };
}

function findOwn<Kind extends EntityKind>(resource: Resource<Kind>, call: Call, state: DocumentState): EntityOf[Kind];
function findOwn<Kind extends EntityKind>(
  resource: Resource<Kind>,
  call: Call,
  state: DocumentState,
  isOptional: true,
): EntityOf[Kind] | undefined;
function findOwn<Kind extends EntityKind>(
  resource: Resource<Kind>,
  call: Call,
  state: DocumentState,
  isOptional = false,
): EntityOf[Kind] | undefined {
  const ref = call.params[resource.parameter] ?? '';
  const parent = resource.findParent?.(state, call);
  const entity = findEntity(mapOf(state, resource.kind), resource.kind, ref);
  if (entity !== undefined && (parent === undefined || parent.owns(entity))) return entity;
  if (isOptional) return undefined;
  throw new AdminError('NOT_FOUND', `There is no ${resource.kind} ${ref.slice(0, 128)}.`);
}

/** Completes the body of a PUT that creates: the path says its id or its name. */
function nameByPath<Kind extends EntityKind>(resource: Resource<Kind>, call: Call, body: unknown): unknown {
  if (!isRecord(body)) return body;
  const ref = call.params[resource.parameter] ?? '';
  const field = isId(ref) ? 'id' : resource.nameField;
  if (field === undefined) throw new AdminError('NOT_FOUND', `A new ${resource.kind} needs a UUID in its path.`);
  if (body[field] !== undefined && body[field] !== ref)
    throw invalidField(`/${field}`, `expected ${ref}, as in the path`);
  return { ...body, [field]: ref };
}

/** Completes the body of a PUT that replaces: the same request twice means the same, so a name in the path stays. */
function keepName<Kind extends EntityKind>(resource: Resource<Kind>, call: Call, body: unknown): unknown {
  const ref = call.params[resource.parameter] ?? '';
  const field = resource.nameField ?? 'name';
  return isRecord(body) && !isId(ref) && body[field] === undefined ? { ...body, [field]: ref } : body;
}

function checkFreeId<Kind extends EntityKind>(resource: Resource<Kind>, draft: Draft, input: Input): void {
  const id = String(input['id'] ?? '');
  const other = draft.get(resource.kind, id);
  if (other === undefined) return;
  const name = nameOf(resource.kind, other) ?? id;
  throw new AdminError('CONFLICT', `The id ${id} belongs to another ${resource.kind}: ${name}.`);
}
