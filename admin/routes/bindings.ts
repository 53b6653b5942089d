// The resource bindings: all of them, and those of one api.
// Must not hold what all kinds share: that is resource.ts.
import type { DocumentState } from '../../gateway/core/config.ts';
import { findAmong } from '../../gateway/core/document/installs.ts';
import type { Api, Binding } from '../../gateway/core/model.ts';
import type { Call, RouteSpec } from '../call.ts';
import { type ScopeFinder, toBinding } from '../document/bindings.ts';
import type { Draft } from '../document/draft.ts';
import { findEntity, isId, isRecord } from '../document/read.ts';
import { AdminError, invalidField } from '../errors.ts';
import { buildResourceRoutes, type Parent, type Resource } from './resource.ts';

const BINDING: Omit<Resource<'binding'>, 'path'> = {
  kind: 'binding',
  parameter: 'binding',
  title: 'Binding',
  inputKind: () => 'binding',
  make(input, { call, draft, existing }) {
    const plugins = findAmong(call.services.plugins, draft.all('install').values());
    const binding = toBinding(input, existing, findIn(draft), plugins);
    return { entity: draft.put('binding', binding) };
  },
  remove: (draft, binding) => draft.remove('binding', binding.id),
  textOf: (binding) => `${binding.plugin}\n${binding.name ?? ''}`,
  keyOf: (binding) => `${binding.plugin} ${binding.name ?? ''} ${binding.id}`,
  locationOf: (binding) => `/v1/bindings/${binding.id}`,
};

/** Lists the routes of bindings. */
export const BINDING_ROUTES: readonly RouteSpec[] = [
  ...buildResourceRoutes({ ...BINDING, path: '/v1/bindings' }),
  ...buildResourceRoutes({ ...BINDING, path: '/v1/apis/:api/bindings', findParent: findApi }),
];

function findIn(draft: Draft): ScopeFinder {
  return {
    findApi: (ref) => findEntity(draft.all('api'), 'api', ref),
    findConsumer: (ref) => findEntity(draft.all('consumer'), 'consumer', ref),
    findRouteOwners: (ref) => findRouteOwners(draft.all('api'), ref),
  };
}

/** Finds the apis that have a route with this id or name. */
export function findRouteOwners(apis: ReadonlyMap<string, Api>, ref: string): Api[] {
  const field = isId(ref) ? 'id' : 'name';
  return [...apis.values()].filter((api) => api.routes.some((route) => route[field] === ref));
}

function findApi(state: DocumentState, call: Call): Parent<Binding> {
  const ref = call.params['api'] ?? '';
  const api = findEntity(state.apis, 'api', ref);
  if (api === undefined) throw new AdminError('NOT_FOUND', `There is no api ${ref.slice(0, 128)}.`);
  const routes = new Set(api.routes.map((route) => route.id));
  return {
    id: api.id,
    owns: ({ scope }) => scope.api === api.id || (scope.route !== undefined && routes.has(scope.route)),
    adopt: (body) => placeInApi(body, api),
  };
}

function placeInApi(body: unknown, api: Api): unknown {
  if (!isRecord(body)) return body;
  const scope = body['scope'] ?? {};
  // A scope of another shape is left for the schema to refuse.
  if (!isRecord(scope)) return body;
  if (scope['api'] !== undefined && scope['api'] !== api.id && scope['api'] !== api.name) {
    throw invalidField('/scope/api', `expected ${api.name}, as in the path`);
  }
  return { ...body, scope: { ...scope, api: api.id } };
}
