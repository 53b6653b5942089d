// Compares routes that share requests: where Kong and we would choose another one, or where a path here matches less and its
// requests would come to a route that guards less. Must not compare what no request can match both.

import type { KongImport } from './context.ts';
import { compareHere, compareInKong, type Lane, listLanes, mayShare } from './lanes.ts';
import { escapeExpression } from './paths.ts';

/** More than this takes too long to compare, so nothing is known of the rest. */
const MAX_PAIRS = 3_000_000;
/** Each is held against every lane. */
const MAX_BORDERS = 1_000;

/** Looks at every two routes that could match the same request. */
export function compareRoutes(kong: KongImport): void {
  let count = 0;
  const lanes = [...listLanes(kong)];
  const borders: Border[] = [];
  for (const [lane, wider] of listPairs(lanes)) {
    if (count++ >= MAX_PAIRS) {
      kong.draft.switchOff(
        kong.draft.apis,
        'routes',
        'too many of them overlap to compare their order with that of Kong',
      );
      return;
    }
    if (lane.route === wider.route || !mayShare(lane, wider)) continue;
    judgeOrder(kong, lane, wider);
    if (crossesBorder(lane, wider)) borders.push({ lane, wider });
    judgeLetters(kong, lane, wider);
    judgeLetters(kong, wider, lane);
  }
  for (const border of borders) guardBorder(kong, border, borders.length > MAX_BORDERS ? undefined : lanes);
}

/** Is a prefix that takes more in Kong, and the lane that here gets the rest. */
interface Border {
  readonly lane: Lane;
  readonly wider: Lane;
}

/**
 * Gives every two lanes of which one's head begins with the other's, the longer head first. Sorted by head, those that another
 * begins with lie before it like the folders of a path; kept by host, so that a thousand hosts cost no million pairs.
 */
function* listPairs(lanes: Lane[]): Generator<readonly [Lane, Lane]> {
  lanes.sort((a, b) => (a.head === b.head ? 0 : a.head < b.head ? -1 : 1));
  const exact = new Map<string, Lane[]>();
  const wide = new Map<string, Lane[]>();
  for (const lane of lanes) {
    const isWide = lane.host === '' || lane.host.startsWith('*.');
    const others = isWide ? [...exact.values()] : [exact.get(lane.host) ?? []];
    for (const before of [...others, ...wide.values()]) {
      while (before.length > 0 && !lane.head.startsWith(before.at(-1)?.head ?? '')) before.pop();
      for (const wider of before) yield [lane, wider];
    }
    const own = isWide ? wide : exact;
    const known = own.get(lane.host);
    if (known === undefined) own.set(lane.host, [lane]);
    else known.push(lane);
  }
}

function judgeOrder({ draft }: KongImport, a: Lane, b: Lane): void {
  const inKong = compareInKong(a, b);
  const here = compareHere(a, b);
  // Whoever comes first in Kong leaves its requests to the other when it is off.
  if (inKong <= 0 || here < 0) draft.overlap(a.api, b.api);
  if (inKong >= 0 || here > 0) draft.overlap(b.api, a.api);
  if (isSame(a, b) || Math.sign(inKong) === Math.sign(here)) return;
  const [first, second] = here < 0 ? [a, b] : [b, a];
  const why = inKong === 0 ? 'Kong leaves open which of the two comes first' : 'in Kong the other one comes first';
  const message = isBelow(a, b)
    ? `${describe(first)} comes before ${describe(second)} here, and ${why}; make one of them more particular`
    : `requests to ${a.path} do not come to ${describe(b)} here, and in Kong they may: a prefix ends on a segment border here`;
  draft.switchOff([...new Set([a.api, b.api])], first.route.place, message);
}

/** Kong's `/a` takes `/ab` too, and here that would go on to a wider route that guards less. */
function crossesBorder(lane: Lane, wider: Lane): boolean {
  const { path, kind, api } = lane;
  if (kind !== 'prefix' || path.endsWith('/') || wider.kind !== 'prefix' || compareInKong(lane, wider) > 0)
    return false;
  if (path === wider.path || !isBelow(lane, wider)) return false;
  return !(isUnguarded(lane) && isUnguarded(wider) && api === wider.api) && sharesReach(lane, wider);
}

/** Says the prefix as an expression too where that takes nothing from other routes, else turns both apis off. */
function guardBorder({ draft }: KongImport, { lane, wider }: Border, lanes: readonly Lane[] | undefined): void {
  const { path, route, api } = lane;
  const rest = `~${escapeExpression(path)}[^/].*`;
  const isFree = lanes !== undefined && !lanes.some((other) => takesRest(other, lane));
  if (!route.stripPath && isFree) {
    if (!route.paths.includes(rest)) route.paths.push(rest);
    return;
  }
  const advice = route.stripPath ? 'set strip_path: false, or end the path with /' : 'end the path with /';
  const message = `${path} of Kong takes ${path}x too, and here that comes to ${describe(wider)} at the same upstream; ${advice}`;
  draft.switchOff([...new Set([api, wider.api])], route.place, message);
}

/** Says whether another route could want what a prefix takes beyond its border: an expression would be tried before it. */
function takesRest(other: Lane, { path, route }: Lane): boolean {
  if (other.route === route) return false;
  const isLonger = other.head.length > path.length && other.head.startsWith(path) && other.head[path.length] !== '/';
  return isLonger || (other.kind === 'expression' && (path.startsWith(other.head) || other.head.startsWith(path)));
}

/** Kong compares values of headers without case, and here `V2` is not `v2`. */
function judgeLetters({ draft }: KongImport, lane: Lane, other: Lane): void {
  const names = Object.entries(lane.route.headers).filter(([, values]) =>
    values.some((value) => /[A-Za-z]/.test(value)),
  );
  const [name] = names[0] ?? [];
  if (name === undefined || compareInKong(lane, other) > 0 || !sharesReach(lane, other)) return;
  if (isUnguarded(lane) && isUnguarded(other) && lane.api === other.api) return;
  const message = `values of ${name} are compared with case here; in another case its requests come to ${describe(other)} at the same upstream`;
  draft.switchOff([...new Set([lane.api, other.api])], lane.route.place, message);
}

/** Says whether it makes no difference which of the two is taken. */
function isSame(a: Lane, b: Lane): boolean {
  if (a.api !== b.api || !isUnguarded(a) || !isUnguarded(b) || a.route.stripPath !== b.route.stripPath) return false;
  return !a.route.stripPath || a.path === b.path;
}

/** Says whether requests to the lane's path match the wider one here too; to Kong every prefix is enough. */
function isBelow({ head }: Lane, { kind, path }: Lane): boolean {
  return kind !== 'prefix' || path.endsWith('/') || head === path || head.startsWith(`${path}/`);
}

function isUnguarded({ route }: Lane): boolean {
  return !route.isBound;
}

function sharesReach({ api: a }: Lane, { api: b }: Lane): boolean {
  return [...a.reach].some((host) => b.reach.has(host));
}

function describe({ api, route, path, host }: Lane): string {
  return `${host}${path} of ${api.name}/${route.name}`;
}
