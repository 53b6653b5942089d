// Checks that a route's id belongs to one api for ever.
// Must not check anything else about routes: that is core/check.ts.
import type { EntityProblem, GoodDocument } from '../../gateway/core/check.ts';
import type { DocumentState } from '../../gateway/core/config.ts';
import { routeKey } from '../../gateway/core/document/rules.ts';
import type { Api } from '../../gateway/core/model.ts';
import type { EntityChange } from './draft.ts';

/** Is the document before a write; `good` when it is known to be. */
export interface RouteBase {
  readonly state: DocumentState;
  readonly good: GoodDocument | undefined;
}

/**
 * Finds routes whose id another api has in the rows that the write would replace, even when that api gives it up: a route
 * that moves would take along bindings that were meant for the api it leaves.
 */
export function findMovedRoutes(changes: readonly EntityChange[], base: RouteBase): EntityProblem[] {
  const problems: EntityProblem[] = [];
  let ownerOf: ((routeId: string) => string | undefined) | undefined;
  for (const change of changes) {
    if (change.kind !== 'api' || change.after === null) continue;
    const { id, routes } = change.after as Api;
    const own = new Set((change.before as Api | null)?.routes.map((route) => route.id));
    for (const [index, route] of routes.entries()) {
      if (own.has(route.id)) continue;
      ownerOf ??= buildFinder(base);
      if (ownerOf(route.id) === undefined) continue;
      const pointer = `/routes/${index}/id`;
      problems.push({
        kind: 'api',
        id,
        pointer,
        code: 'NOT_UNIQUE',
        message: 'expected an id that no other route has',
      });
    }
  }
  return problems;
}

function buildFinder({ state, good }: RouteBase): (routeId: string) => string | undefined {
  if (good !== undefined) return (routeId) => good.holders.get(routeKey(routeId));
  const owners = new Map<string, string>();
  for (const api of state.apis.values()) for (const route of api.routes) owners.set(route.id, api.id);
  return (routeId) => owners.get(routeId);
}
