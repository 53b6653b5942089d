// Makes apis, upstreams and consumers of what a body says, keeping the identity of what was there.
// Must not check across entities: that is core/check.ts.
import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Api, Consumer, EntityKind, EntityOf, Route, Upstream } from '../../gateway/core/model.ts';
import { AdminError, invalidField } from '../errors.ts';
import type { Draft } from './draft.ts';
import { type Input, isId } from './read.ts';

type RouteInput = Omit<Route, 'id'> & { readonly id?: string };

/** Makes an entity of an input. @throws CONFIG_INVALID when the body names another id than the one it replaces */
export function toEntity<Kind extends EntityKind>(
  input: Input,
  existing: { readonly id: string } | undefined,
): EntityOf[Kind] {
  const id = existing?.id ?? input['id'] ?? randomUUID();
  if (input['id'] !== undefined && input['id'] !== id) throw invalidField('/id', `expected ${String(id)}, or no id`);
  return { ...input, id, createdAt: '', updatedAt: '' } as unknown as EntityOf[Kind];
}

/** Makes an api; its routes keep the ids they had. */
export function toApi(input: Input, existing: Api | undefined): Api {
  const inputs = input['routes'] as readonly RouteInput[];
  for (const [index, { name = '' }] of inputs.entries()) {
    if (isId(name)) throw invalidField(`/routes/${index}/name`, 'expected a name that does not look like a UUID');
  }
  const routes = keepRouteIds(inputs, existing?.routes ?? []);
  return toEntity<'api'>({ ...input, routes }, existing);
}

/**
 * Gives each route an id: its own, else that of the route with its name, else, without a name, that of an equal route.
 * Bindings refer to routes by id, so a route that was only moved in the list keeps its plugins.
 */
export function keepRouteIds(routes: readonly RouteInput[], existing: readonly Route[]): Route[] {
  const claimed = new Set(routes.flatMap((route) => route.id ?? []));
  const claim = (route: RouteInput): string => {
    const { id: _id, ...content } = route;
    const found = existing.find(
      ({ id, ...other }) =>
        !claimed.has(id) &&
        (content.name === undefined ? isDeepStrictEqual(content, other) : content.name === other.name),
    );
    const id = found?.id ?? randomUUID();
    claimed.add(id);
    return id;
  };
  return routes.map((route) => ({ ...route, id: route.id ?? claim(route) }));
}

/** Makes a consumer. Its groups are a set; sorted, as the database gives them back, equal sets are equal. */
export function toConsumer(input: Input, existing: Consumer | undefined): Consumer {
  const groups = [...(input['groups'] as readonly string[])].sort();
  return toEntity<'consumer'>({ ...input, groups }, existing);
}

/** Puts an upstream; apis that name it follow when it is renamed. */
export function putUpstream(draft: Draft, upstream: Upstream): Upstream {
  const before = draft.get('upstream', upstream.id);
  const after = draft.put('upstream', upstream);
  if (before === undefined || before.name === after.name) return after;
  for (const api of [...draft.all('api').values()]) {
    const isNamed = typeof api.upstream !== 'string' && api.upstream.name === before.name;
    if (isNamed) draft.put('api', { ...api, upstream: { name: after.name } });
  }
  return after;
}

/** Removes an upstream. @throws IN_USE naming the apis that send to it */
export function removeUpstream(draft: Draft, upstream: Upstream): void {
  const users = [...draft.all('api').values()].filter(
    (api) => typeof api.upstream !== 'string' && api.upstream.name === upstream.name,
  );
  if (users.length > 0) {
    const names = users.slice(0, 10).map((api) => api.name);
    throw new AdminError('IN_USE', `The upstream ${upstream.name} is used by: ${listNames(names, users.length)}.`, {
      facts: { apis: names },
    });
  }
  draft.remove('upstream', upstream.id);
}

/** Puts an api. @throws IN_USE when a route would vanish that bindings refer to: its protection would vanish with it */
export function putApi(draft: Draft, api: Api): Api {
  const kept = new Set(api.routes.map((route) => route.id));
  const lost = new Set((draft.get('api', api.id)?.routes ?? []).map((route) => route.id).filter((id) => !kept.has(id)));
  const bindings = [...draft.all('binding').values()].filter(
    ({ scope }) => scope.route !== undefined && lost.has(scope.route),
  );
  if (bindings.length > 0) {
    const names = bindings.slice(0, 10).map(({ plugin, id }) => `${plugin} (${id})`);
    const advice = 'Give the route its id or name, or delete it or its bindings first';
    throw new AdminError(
      'IN_USE',
      `A route that would go is bound by: ${listNames(names, bindings.length)}. ${advice}.`,
      {
        facts: { bindings: bindings.slice(0, 10).map(({ id }) => id) },
      },
    );
  }
  return draft.put('api', api);
}

/** Removes an api with the bindings on it and on its routes. */
export function removeApi(draft: Draft, api: Api): void {
  const routes = new Set(api.routes.map((route) => route.id));
  removeBindings(draft, ({ scope }) => scope.api === api.id || (scope.route !== undefined && routes.has(scope.route)));
  draft.remove('api', api.id);
}

/** Removes a consumer with its credentials and bindings. */
export function removeConsumer(draft: Draft, consumer: Consumer): void {
  for (const credential of [...draft.all('credential').values()]) {
    if (credential.consumerId === consumer.id) draft.remove('credential', credential.id);
  }
  removeBindings(draft, ({ scope }) => scope.consumer === consumer.id);
  draft.remove('consumer', consumer.id);
}

/** Removes the bindings that `isGone` picks. */
export function removeBindings(draft: Draft, isGone: (binding: EntityOf['binding']) => boolean): void {
  for (const binding of [...draft.all('binding').values()]) if (isGone(binding)) draft.remove('binding', binding.id);
}

function listNames(names: readonly string[], total: number): string {
  return total > names.length ? `${names.join(', ')} and ${total - names.length} more` : names.join(', ');
}
