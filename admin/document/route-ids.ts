// Checks that a route's id belongs to one api for ever.
// Must not check anything else about routes: that is core/check.ts.
import type { EntityProblem } from '../../gateway/core/check.ts';
import type { DocumentState } from '../../gateway/core/config.ts';

/**
 * Finds routes whose id is taken by another api, in the candidate or in the rows that the write would replace: a route that
 * moves would take along bindings that were meant for the api it leaves.
 */
export function findSharedRoutes(state: DocumentState, base: DocumentState): EntityProblem[] {
  const problems: EntityProblem[] = [];
  const owners = new Map<string, string>();
  for (const api of base.apis.values()) for (const route of api.routes) owners.set(route.id, api.id);
  for (const api of state.apis.values()) {
    if (api === base.apis.get(api.id)) continue;
    for (const [index, { id }] of api.routes.entries()) {
      const owner = owners.get(id);
      const pointer = `/routes/${index}/id`;
      const message = 'expected an id that no other route has';
      const isSame = owner === api.id && api.routes.findIndex((route) => route.id === id) === index;
      if (owner !== undefined && !isSame)
        problems.push({ kind: 'api', id: api.id, pointer, code: 'NOT_UNIQUE', message });
      owners.set(id, api.id);
    }
  }
  return problems;
}
