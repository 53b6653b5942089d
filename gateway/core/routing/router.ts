// Finds the route of a request. The order of precedence is the one of docs/routing.md.
// Must not know plugins, and must cost the same with ten routes and with a hundred thousand.
import { editMap } from '../document/layered-map.ts';
import { editLists, isSeveral, type ListMap } from '../document/list-map.ts';
import type { Api } from '../model.ts';
import type { Steps } from '../slicer.ts';
import { buildEntries, compareEntries, isSlashPrefix, type RouteEntry } from './entry.ts';
import type { MatchRequest } from './match.ts';
import { comparablePath } from './path.ts';

/** Is what the router found: the entry, or the methods that would have matched (empty = no route at all). */
export type RouteMatch =
  | { readonly entry: RouteEntry }
  | { readonly entry: undefined; readonly allowedMethods: ReadonlySet<string> };

/** Holds the entries of one host pattern. */
interface HostTable {
  readonly exact: ListMap<RouteEntry>;
  readonly prefix: ListMap<RouteEntry>;
  readonly regex: readonly RouteEntry[];
  /** Prefixes like `/a/`, which match below `/a` only, cost a second look-up per segment; none = not paid. */
  readonly slashPrefixes: number;
  /** How many prefixes have as many segments: where there are none, nothing need be looked up. */
  readonly prefixDepths: readonly number[];
}

/** Finds routes; immutable once built. */
export interface Router {
  readonly exactHosts: ReadonlyMap<string, HostTable>;
  readonly wildcardHosts: ReadonlyMap<string, HostTable>;
  readonly anyHost: HostTable;
}

const EMPTY_TABLE: HostTable = { exact: new Map(), prefix: new Map(), regex: [], slashPrefixes: 0, prefixDepths: [] };

/** Is the router before the first revision. */
export const EMPTY_ROUTER: Router = { exactHosts: new Map(), wildcardHosts: new Map(), anyHost: EMPTY_TABLE };

const SLASH = 0x2f;
const NO_METHODS: ReadonlySet<string> = new Set();

/**
 * Finds the route of a request: host exact, then longest wildcard, then any; inside, path exact, then regex, then
 * longest prefix; inside, more header and query fields, then declared methods, then api and route name.
 */
export function findRoute(router: Router, sent: MatchRequest): RouteMatch {
  const request = sent.path.includes('%') ? { ...sent, path: comparablePath(sent.path) } : sent;
  const missed: RouteEntry[] = [];
  const { host } = request;
  const exact = router.exactHosts.get(host);
  let entry = exact && findInTable(exact, request, missed);
  if (!entry && router.wildcardHosts.size > 0) {
    for (let at = host.indexOf('.'); at !== -1 && !entry; at = host.indexOf('.', at + 1)) {
      const table = router.wildcardHosts.get(host.slice(at + 1));
      if (table) entry = findInTable(table, request, missed);
    }
  }
  entry ??= findInTable(router.anyHost, request, missed);
  if (entry) return { entry };
  if (missed.length === 0) return { entry: undefined, allowedMethods: NO_METHODS };
  return { entry: undefined, allowedMethods: new Set(missed.flatMap((one) => [...(one.methods ?? [])])) };
}

function findInTable(table: HostTable, request: MatchRequest, missed: RouteEntry[]): RouteEntry | undefined {
  const { path } = request;
  const exact = table.exact.size > 0 ? table.exact.get(path) : undefined;
  let found = exact && findAmong(exact, request, missed);
  if (found) return found;
  for (const entry of table.regex) {
    if (entry.pattern.kind === 'regex' && entry.pattern.expression.test(path)) {
      found = accept(entry, request, missed);
      if (found) return found;
    }
  }
  if (table.prefix.size === 0) return undefined;
  const { slashPrefixes, prefixDepths } = table;
  // What ends in a slash is looked up beside what is before the slash.
  let end = path.endsWith('/') ? path.length - 1 : path.length;
  for (let depth = countSegments(path, end); depth > 0; end = findSlashBefore(path, end), depth--) {
    if (!prefixDepths[depth]) continue;
    if (slashPrefixes > 0 && end < path.length) {
      const below = table.prefix.get(path.slice(0, end + 1));
      found = below && findAmong(below, request, missed);
      if (found) return found;
    }
    const list = table.prefix.get(end === path.length ? path : path.slice(0, end));
    found = list && findAmong(list, request, missed);
    if (found) return found;
  }
  const root = table.prefix.get('/');
  return root && findAmong(root, request, missed);
}

/** By hand: V8 leaves compiled code for `lastIndexOf`. */
function findSlashBefore(path: string, end: number): number {
  let at = end - 1;
  while (at >= 0 && path.charCodeAt(at) !== SLASH) at--;
  return at;
}

/** Counts the segments of `path` before `end`; a slash begins each. */
function countSegments(path: string, end: number): number {
  let count = 0;
  for (let at = path.indexOf('/'); at !== -1 && at < end; at = path.indexOf('/', at + 1)) count++;
  return count;
}

function findAmong(
  found: RouteEntry | readonly RouteEntry[],
  request: MatchRequest,
  missed: RouteEntry[],
): RouteEntry | undefined {
  if (!isSeveral(found)) return accept(found, request, missed);
  for (const entry of found) if (accept(entry, request, missed)) return entry;
  return undefined;
}

/** Gives the entry if it is for this request, and notes it if only the method is another. */
function accept(entry: RouteEntry, request: MatchRequest, missed: RouteEntry[]): RouteEntry | undefined {
  // Nearly every route has no tests, and the function alone would be seen.
  if (entry.tests.length > 0 && !entry.tests.every((test) => test(request))) return undefined;
  if (!entry.methods || entry.methods.has(request.method)) return entry;
  missed.push(entry);
  return undefined;
}

/** Changes a router by whole apis, sharing every table that is not touched, and what is not touched of one that is. */
export interface RouterBuilder {
  add(api: Api): void;
  remove(api: Api): void;
  build(): Steps<Router>;
}

/** Starts from `base`, which stays as it is. */
export function createRouterBuilder(base: Router): RouterBuilder {
  const exactHosts = new Map<string, TableEdit>();
  const wildcardHosts = new Map<string, TableEdit>();
  let anyHost: TableEdit | undefined;

  const tableOf = (host: string | undefined): TableEdit => {
    if (host === undefined) {
      anyHost ??= editTable(base.anyHost);
      return anyHost;
    }
    const isWildcard = host.startsWith('*.');
    const key = isWildcard ? host.slice(2) : host;
    const own = isWildcard ? wildcardHosts : exactHosts;
    const known = own.get(key);
    if (known) return known;
    const table = editTable((isWildcard ? base.wildcardHosts : base.exactHosts).get(key) ?? EMPTY_TABLE);
    own.set(key, table);
    return table;
  };
  const edit = (api: Api, change: (table: TableEdit, entry: RouteEntry) => void): void => {
    if (!api.enabled) return;
    for (const entry of buildEntries(api)) {
      const hosts = entry.route.hosts.length > 0 ? entry.route.hosts : [undefined];
      for (const host of hosts) change(tableOf(host), entry);
    }
  };
  return {
    add: (api) => edit(api, (table, entry) => table.add(entry)),
    remove: (api) => edit(api, (table, entry) => table.remove(entry)),
    *build() {
      return {
        exactHosts: yield* buildHosts(base.exactHosts, exactHosts),
        wildcardHosts: yield* buildHosts(base.wildcardHosts, wildcardHosts),
        anyHost: anyHost ? yield* anyHost.build() : base.anyHost,
      };
    },
  };
}

function* buildHosts(
  base: ReadonlyMap<string, HostTable>,
  edits: ReadonlyMap<string, TableEdit>,
): Steps<ReadonlyMap<string, HostTable>> {
  const hosts = editMap(base);
  for (const [host, edit] of edits) {
    const table = yield* edit.build();
    if (table.exact.size + table.prefix.size + table.regex.length > 0) hosts.set(host, table);
    else hosts.delete(host);
  }
  return yield* hosts.build();
}

/** Is a host table in the making. */
interface TableEdit {
  add(entry: RouteEntry): void;
  remove(entry: RouteEntry): void;
  build(): Steps<HostTable>;
}

function editTable(base: HostTable): TableEdit {
  const exact = editLists(base.exact);
  const prefix = editLists(base.prefix);
  const prefixDepths = [...base.prefixDepths];
  let { slashPrefixes } = base;
  const note = (entry: RouteEntry, change: 1 | -1): void => {
    if (isSlashPrefix(entry)) slashPrefixes += change;
    const { kind, key } = entry.pattern;
    // The root is looked up apart.
    if (kind !== 'prefix' || key === '/') return;
    const depth = countSegments(key, isSlashPrefix(entry) ? key.length - 1 : key.length);
    while (prefixDepths.length <= depth) prefixDepths.push(0);
    prefixDepths[depth] = (prefixDepths[depth] ?? 0) + change;
  };
  let regex: RouteEntry[] | undefined;
  const listOf = ({ pattern: { kind, key } }: RouteEntry): RouteEntry[] => {
    if (kind !== 'regex') return (kind === 'exact' ? exact : prefix).listOf(key);
    regex ??= [...base.regex];
    return regex;
  };
  return {
    add(entry) {
      listOf(entry).push(entry);
      note(entry, 1);
    },
    remove(entry) {
      const list = listOf(entry);
      const at = list.findIndex(
        ({ route, pattern }) => route.id === entry.route.id && pattern.key === entry.pattern.key,
      );
      if (at === -1) return;
      list.splice(at, 1);
      note(entry, -1);
    },
    *build() {
      return {
        exact: yield* exact.build(compareEntries),
        prefix: yield* prefix.build(compareEntries),
        regex: regex?.sort(compareEntries) ?? base.regex,
        slashPrefixes,
        prefixDepths,
      };
    },
  };
}
