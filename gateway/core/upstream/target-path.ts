// Joins the upstream's base path with what is left of the request's path.
// Must leave a canonical path byte for byte.

import type { RouteEntry } from '../routing/entry.ts';
import { matchesPath } from '../routing/match.ts';

/** Is what a target is joined from. `basePath` has no slash at its end. */
export interface TargetParts {
  readonly entry: RouteEntry;
  readonly path: string;
  readonly query: string;
  readonly basePath: string;
}

/** Gives path and query as they go upstream: the matched path taken off when the route says so, the base put before. */
export function joinUpstreamTarget({ entry, path, query, basePath }: TargetParts): string {
  const rest = entry.stripPath ? stripMatched(entry, path) : path;
  // Nothing left means the base itself, not the base with a slash: `/api` stripped from `/api` is the base.
  const joined = rest === '' ? basePath || '/' : basePath + rest;
  return query === '' ? joined : `${joined}?${query}`;
}

function stripMatched(entry: RouteEntry, path: string): string {
  const { kind, key } = entry.pattern;
  // A plugin may have rewritten the path to one that no longer matches: `/apiary` must not become `ary`.
  if (kind === 'regex' || !matchesPath(entry.pattern, path)) return path;
  if (!path.includes('%')) return path.slice(key.endsWith('/') ? key.length - 1 : key.length);
  // Counted by segments: what was matched may be longer as sent, where `@` came as `%40`.
  const segments = key.split('/').length - (key.endsWith('/') ? 2 : 1);
  let end = 0;
  for (let count = 0; count < segments && end !== -1; count++) end = path.indexOf('/', end + 1);
  return end === -1 ? '' : path.slice(end);
}
