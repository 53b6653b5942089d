// Compares what a plugin asks for with what it was granted, and gives permissions a digest.
// Must not enforce anything: that is the affair of whoever runs the plugin.
import {
  type Access,
  coversHeader,
  coversHost,
  listHeaderPatterns,
  type MessagePermissions,
  type Permissions,
} from '../core/manifest.ts';
import { hashSha256, writeCanonicalJson } from './canonical.ts';

/** Is one thing that is asked for beyond the grant; `pointer` leads to it in the wanted permissions. */
export interface PermissionGap {
  readonly pointer: string;
  /** What is granted in its place; null when nothing is. */
  readonly granted: unknown;
  readonly wanted: unknown;
}

type Compare<Value> = (granted: Value | undefined, wanted: Value | undefined) => PermissionGap[];

const ACCESS: readonly Access[] = ['none', 'read', 'write'];

/** Holds a rule for every permission: a new one does not compile until somebody has said what more and less of it is. */
const RULES: { readonly [Key in keyof Required<Permissions>]: Compare<NonNullable<Permissions[Key]>> } = {
  request: compareMessages('/request'),
  response: compareMessages('/response'),
  respond: compareFlags('/respond'),
  identify: compareFlags('/identify'),
  consumers: (granted, wanted) => compareAccess('/consumers', granted, wanted),
  limits: compareFlags('/limits'),
  files: compareLists('/files', (granted, one) => granted.includes(one)),
  net: (granted = [], wanted = []) => {
    const hosts = granted.map(({ host }) => host);
    const compare = compareLists('/net', coversHost);
    return compare(
      hosts,
      wanted.map(({ host }) => host),
    );
  },
  secrets: compareLists('/secrets', (granted, one) => granted.includes(one)),
  kv: (granted, wanted) => {
    if ((wanted?.maxBytes ?? 0) <= (granted?.maxBytes ?? 0)) return [];
    return [gap('/kv/maxBytes', granted?.maxBytes, wanted?.maxBytes)];
  },
};

/** Lists what `wanted` asks beyond `granted`; empty = within the grant. Reasons and order do not matter. */
export function comparePermissions(granted: Permissions, wanted: Permissions): readonly PermissionGap[] {
  return (Object.keys(RULES) as (keyof Permissions)[]).flatMap((key) => compareOne(key, granted, wanted));
}

function compareOne<Key extends keyof Permissions>(
  key: Key,
  granted: Permissions,
  wanted: Permissions,
): PermissionGap[] {
  const compare = RULES[key] as Compare<Permissions[Key]>;
  return compare(granted[key], wanted[key]);
}

function compareMessages(pointer: string): Compare<MessagePermissions> {
  return (granted = {}, wanted = {}) => [
    ...compareHeaders(`${pointer}/headers`, granted.headers, wanted.headers),
    ...compareAccess(`${pointer}/path`, granted.path, wanted.path),
    ...compareAccess(`${pointer}/query`, granted.query, wanted.query),
    ...compareAccess(`${pointer}/body`, granted.body, wanted.body),
  ];
}

function compareHeaders(
  pointer: string,
  granted: Parameters<typeof listHeaderPatterns>[0],
  wanted: Parameters<typeof listHeaderPatterns>[0],
): PermissionGap[] {
  const have = listHeaderPatterns(granted);
  const need = listHeaderPatterns(wanted);
  const isWithin = (kind: 'read' | 'write'): boolean => need[kind].every((one) => coversHeader(have[kind], one));
  return isWithin('read') && isWithin('write') ? [] : [gap(pointer, granted, wanted)];
}

function compareAccess(pointer: string, granted: Access = 'none', wanted: Access = 'none'): PermissionGap[] {
  return ACCESS.indexOf(wanted) <= ACCESS.indexOf(granted) ? [] : [gap(pointer, granted, wanted)];
}

function compareFlags(pointer: string): Compare<boolean> {
  return (granted = false, wanted = false) => (wanted && !granted ? [gap(pointer, granted, wanted)] : []);
}

function compareLists(
  pointer: string,
  covers: (granted: readonly string[], one: string) => boolean,
): (granted?: readonly string[], wanted?: readonly string[]) => PermissionGap[] {
  return (granted = [], wanted = []) =>
    wanted.flatMap((one, index) => (covers(granted, one) ? [] : [gap(`${pointer}/${index}`, granted, one)]));
}

function gap(pointer: string, granted: unknown, wanted: unknown): PermissionGap {
  return { pointer, granted: granted ?? null, wanted };
}

/**
 * Gives the SHA-256 of permissions in one form: sorted, and without what is not asked for. So it stays the same when a
 * later gateway knows more permissions, and fills in their defaults.
 */
export function hashPermissions(permissions: Permissions): string {
  return hashSha256(writeCanonicalJson(simplify(permissions)));
}

function simplify(permissions: object): Readonly<Record<string, unknown>> {
  const entries = Object.entries(permissions).map(([key, value]): [string, unknown] => [key, simplifyValue(value)]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function simplifyValue(value: unknown): unknown {
  if (value === false || value === 'none') return undefined;
  if (Array.isArray(value)) {
    const texts = new Map(value.map((one) => [writeCanonicalJson(one), one]));
    const sorted = [...texts].sort(([a], [b]) => (a < b ? -1 : 1));
    return sorted.length === 0 ? undefined : sorted.map(([, one]) => one);
  }
  if (typeof value !== 'object' || value === null) return value;
  const simple = simplify(value);
  return Object.keys(simple).length === 0 ? undefined : simple;
}
