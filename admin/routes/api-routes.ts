// The routes of one api, one by one. They are parts of the api: its entity tag and its revision are theirs.
// Must not hold routing.
import type { DocumentState } from '../../gateway/core/config.ts';
import type { Api, Route } from '../../gateway/core/model.ts';
import { answerPage, answerWrite, buildEtag, checkPreconditions } from '../answers.ts';
import type { Answer, Call, RouteSpec } from '../call.ts';
import { keepRouteIds, removeBindings } from '../document/apis.ts';
import type { Draft } from '../document/draft.ts';
import { mergePatch } from '../document/merge-patch.ts';
import { findEntity, isId, isRecord, readEntity } from '../document/read.ts';
import { AdminError, invalidField } from '../errors.ts';
import { WRITE_QUERY } from './resource.ts';

const PATH = '/v1/apis/:api/routes';
const reads = { role: 'viewer', gives: 'Route' } as const;
const writes = { role: 'editor', query: WRITE_QUERY, takes: 'Route', gives: 'Route' } as const;

/** Lists the routes of an api's routes. */
export const API_ROUTE_ROUTES: readonly RouteSpec[] = [
  {
    ...reads,
    method: 'GET',
    path: PATH,
    summary: 'List routes of an api',
    gives: 'RouteList',
    query: ['limit', 'cursor', 'search'],
    handle: list,
  },
  { ...writes, method: 'POST', path: PATH, summary: 'Add route to an api', status: 201, body: 'json', handle: create },
  { ...reads, method: 'GET', path: `${PATH}/:route`, summary: 'Show route', handle: show },
  { ...writes, method: 'PUT', path: `${PATH}/:route`, summary: 'Create or replace route', body: 'json', handle: put },
  { ...writes, method: 'PATCH', path: `${PATH}/:route`, summary: 'Change route', body: 'merge-patch', handle: patch },
  {
    role: 'editor',
    query: WRITE_QUERY,
    method: 'DELETE',
    path: `${PATH}/:route`,
    summary: 'Delete route with its bindings',
    status: 204,
    handle: remove,
  },
];

async function list(call: Call): Promise<Answer> {
  const state = await call.services.publisher.read();
  const api = findApi(state, call);
  const position = new Map(api.routes.map((route, index) => [route, String(index).padStart(6, '0')]));
  const page = answerPage(call, api.routes, {
    keyOf: (route) => position.get(route) ?? '',
    textOf: (route) => [route.name, ...route.hosts, ...route.paths].join('\n'),
    show: (route) => route,
  });
  return { ...page, revision: state.revision };
}

async function show(call: Call): Promise<Answer> {
  const state = await call.services.publisher.read();
  const api = findApi(state, call);
  return { body: getRoute(api, call), etag: buildEtag(api), revision: state.revision };
}

async function create(call: Call): Promise<Answer> {
  return await write(call, 'create', (api) => {
    const [route] = keepRouteIds([readRoute(call.body)], []);
    if (route === undefined) throw invalidField('', 'expected a route');
    if (api.routes.some(({ id }) => id === route.id))
      throw new AdminError('CONFLICT', `There is a route ${route.id} already.`);
    return { route, routes: [...api.routes, route], isNew: true };
  });
}

async function put(call: Call): Promise<Answer> {
  const ref = call.params['route'] ?? '';
  return await write(call, 'put', (api) => {
    const existing = findRoute(api, ref);
    const input = readRoute(call.body);
    // The same request twice means the same, so a name in the path stays.
    if (existing !== undefined) return replace(api, existing, isId(ref) ? input : { name: ref, ...input });
    const field = isId(ref) ? 'id' : 'name';
    if (input[field] !== undefined && input[field] !== ref)
      throw invalidField(`/${field}`, `expected ${ref}, as in the path`);
    const [route] = keepRouteIds([readRoute({ ...input, [field]: ref })], []);
    if (route === undefined) throw invalidField('', 'expected a route');
    return { route, routes: [...api.routes, route], isNew: true };
  });
}

async function patch(call: Call): Promise<Answer> {
  return await write(call, 'update', (api) => {
    if (!isRecord(call.body)) throw invalidField('', 'expected an object');
    const existing = getRoute(api, call);
    return replace(api, existing, readRoute(mergePatch(existing, call.body)));
  });
}

async function remove(call: Call): Promise<Answer> {
  return await answerWrite(call, {
    action: 'route.delete',
    summary: `delete route ${call.params['route']} of api ${call.params['api']}`,
    change(draft) {
      const api = findApi(draft.base, call);
      checkPreconditions(call, buildEtag(api));
      const route = getRoute(api, call);
      removeBindings(draft, ({ scope }) => scope.route === route.id);
      draft.put('api', { ...api, routes: api.routes.filter((one) => one !== route) });
    },
    answer: () => ({ status: 204 }),
  });
}

interface Written {
  readonly route: Route;
  readonly routes: readonly Route[];
  readonly isNew: boolean;
}

async function write(call: Call, verb: string, change: (api: Api) => Written): Promise<Answer> {
  let index = -1;
  return await answerWrite(call, {
    action: `route.${verb}`,
    summary: `${verb} route ${call.params['route'] ?? ''} of api ${call.params['api']}`.replace('  ', ' '),
    change(draft: Draft) {
      const api = findApi(draft.base, call);
      checkPreconditions(call, buildEtag(api));
      const written = change(api);
      index = written.routes.indexOf(written.route);
      return { ...written, api: draft.put('api', { ...api, routes: written.routes }) };
    },
    locate: ({ pointer }) => {
      const own = `/routes/${index}`;
      return pointer.startsWith(own) ? pointer.slice(own.length) : pointer;
    },
    answer: ({ route, isNew, api }) => ({
      status: isNew ? 201 : 200,
      body: route,
      etag: buildEtag(api),
      ...(isNew ? { location: `/v1/apis/${encodeURIComponent(call.params['api'] ?? '')}/routes/${route.id}` } : {}),
    }),
  });
}

type RouteInput = Omit<Route, 'id'> & { readonly id?: string };

function readRoute(body: unknown): RouteInput {
  return readEntity('route', body) as unknown as RouteInput;
}

function replace(api: Api, existing: Route, input: RouteInput): Written {
  if (input.id !== undefined && input.id !== existing.id)
    throw invalidField('/id', `expected ${existing.id}, or no id`);
  const route: Route = { ...input, id: existing.id };
  return { route, routes: api.routes.map((one) => (one === existing ? route : one)), isNew: false };
}

function findApi(state: DocumentState, call: Call): Api {
  const ref = call.params['api'] ?? '';
  const api = findEntity(state.apis, 'api', ref);
  if (api === undefined) throw new AdminError('NOT_FOUND', `There is no api ${ref.slice(0, 128)}.`);
  return api;
}

function findRoute(api: Api, ref: string): Route | undefined {
  return api.routes.find((route) => (isId(ref) ? route.id : route.name) === ref);
}

function getRoute(api: Api, call: Call): Route {
  const ref = call.params['route'] ?? '';
  const route = findRoute(api, ref);
  if (route === undefined) throw new AdminError('NOT_FOUND', `The api ${api.name} has no route ${ref.slice(0, 128)}.`);
  return route;
}
