// One host and one path of a route: how Kong ranks it, how we do, and which requests two of them share.
// Must not decide what follows from it: that is order.ts.
import type { ApiDraft, RouteDraft } from '../draft.ts';
import type { KongImport, KongRank } from './context.ts';
import { readHead } from './paths.ts';

/** Is one way to a route. */
export interface Lane {
  readonly api: ApiDraft;
  readonly route: RouteDraft;
  readonly rank: KongRank;
  /** Empty = any. */
  readonly host: string;
  /** As written here; `/` when the route names none. */
  readonly path: string;
  readonly kind: 'exact' | 'expression' | 'prefix';
  /** Whether Kong reads it as an expression. */
  readonly wasExpression: boolean;
  /** Length of the path in Kong. */
  readonly originalLength: number;
  /** Everything that matches begins with it. */
  readonly head: string;
}

/** Gives the lanes of every route that Kong has, also of those that are off or left out for want of a service. */
export function* listLanes(kong: KongImport): Generator<Lane> {
  for (const { api, route } of kong.routes.values()) {
    const rank = kong.ranks.get(route);
    if (rank === undefined || !api.wasEnabled || !api.routes.includes(route)) continue;
    const hosts = route.hosts.length > 0 ? route.hosts : [''];
    const paths = rank.paths.length > 0 ? rank.paths : [{ written: '/', original: '' }];
    for (const host of hosts) {
      for (const { written, original } of paths) yield { api, route, rank, host, ...describePath(written, original) };
    }
  }
}

function describePath(
  path: string,
  original: string,
): Pick<Lane, 'path' | 'kind' | 'wasExpression' | 'originalLength' | 'head'> {
  const kind = path.startsWith('~') ? 'expression' : path.startsWith('=') ? 'exact' : 'prefix';
  const plain = kind === 'prefix' ? path : path.slice(1);
  const head = kind === 'expression' ? readHead(plain).text : plain;
  return { path, kind, head, wasExpression: kind !== 'prefix', originalLength: original.replace(/^~/, '').length };
}

/** Says whether some request could match both. Their heads are known to fit. */
export function mayShare(a: Lane, b: Lane): boolean {
  return shareHost(a.host, b.host) && shareValue(a.route.methods, b.route.methods) && shareHeaders(a.route, b.route);
}

function shareHost(a: string, b: string): boolean {
  if (a === '' || b === '' || a === b) return true;
  const covers = (wide: string, other: string): boolean => wide.startsWith('*.') && other.endsWith(wide.slice(1));
  return covers(a, b) || covers(b, a);
}

function shareValue(some: readonly string[], others: readonly string[]): boolean {
  return some.length === 0 || others.length === 0 || some.some((one) => others.includes(one));
}

function shareHeaders({ headers: a }: RouteDraft, { headers: b }: RouteDraft): boolean {
  const lower = (values: readonly string[]): readonly string[] => values.map((value) => value.toLowerCase());
  return Object.entries(a).every(([name, values]) => shareValue(lower(values), lower(b[name] ?? [])));
}

/** Compares as Kong does: negative when `a` is tried first, 0 when Kong leaves it open. */
export function compareInKong(a: Lane, b: Lane): number {
  const priority = (lane: Lane): number => (lane.wasExpression ? lane.rank.regexPriority : 0);
  const ageOf = ({ rank }: Lane): number => rank.createdAt ?? Number.NaN;
  return (
    b.rank.weight - a.rank.weight ||
    Number(b.rank.hasPlainHosts) - Number(a.rank.hasPlainHosts) ||
    b.rank.headerCount - a.rank.headerCount ||
    Number(b.wasExpression) - Number(a.wasExpression) ||
    priority(b) - priority(a) ||
    b.originalLength - a.originalLength ||
    ageOf(a) - ageOf(b) ||
    0
  );
}

/** Compares as our router does. */
export function compareHere(a: Lane, b: Lane): number {
  return (
    rankHost(b.host) - rankHost(a.host) ||
    rankKind(b) - rankKind(a) ||
    b.path.length - a.path.length ||
    Object.keys(b.route.headers).length - Object.keys(a.route.headers).length ||
    Number(b.route.methods.length > 0) - Number(a.route.methods.length > 0) ||
    compareText(a.api.name, b.api.name) ||
    compareText(a.route.name, b.route.name)
  );
}

/** Exact hosts first, then the longest wildcard, then none. */
function rankHost(host: string): number {
  if (host === '') return -1;
  return host.startsWith('*.') ? host.length : Number.MAX_SAFE_INTEGER;
}

function rankKind({ kind }: Lane): number {
  return { exact: 2, expression: 1, prefix: 0 }[kind];
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
