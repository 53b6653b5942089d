// What a plugin says about itself, as data: read by the admin, the console and the gateway without running its code.
// Must not import a handler.

import type { Stage } from './plugin.ts';
import type { JsonSchema } from './schemas.ts';

/** Matches the port at the end of a host. */
const PORT = /:\d+$/;

/** Names the hooks a plugin may have. */
export type HookName =
  | 'onRequest'
  | 'onRequestChunk'
  | 'onUpstreamRequest'
  | 'onResponse'
  | 'onResponseChunk'
  | 'onLog';

/** Lists them in the order in which an exchange meets them. */
export const HOOK_NAMES: readonly HookName[] = [
  'onRequest',
  'onRequestChunk',
  'onUpstreamRequest',
  'onResponse',
  'onResponseChunk',
  'onLog',
];

/** Decides what a failure of a plugin does to the request: refuse it, go on without, or (marketplace) use the last good version. */
export type FailPolicy = 'closed' | 'open' | 'previous';

/** Says how far a permission goes; each includes the ones before it. */
export type Access = 'none' | 'read' | 'write';

/**
 * Names the header fields that a plugin may touch, in lower case. A `*` at the end stands for any rest: `x-acme-*`. A
 * field that may be written may also be read.
 */
export interface HeaderPermissions {
  readonly read?: readonly string[];
  readonly write?: readonly string[];
}

/** Is what a plugin may do to a message. */
export interface MessagePermissions {
  readonly headers?: Access | HeaderPermissions;
  readonly path?: Access;
  readonly query?: Access;
  readonly body?: Access;
}

/** Is all that a plugin may touch; what is not named is not allowed. */
export interface Permissions {
  readonly request?: MessagePermissions;
  readonly response?: MessagePermissions;
  readonly respond?: boolean;
  readonly identify?: boolean;
  readonly consumers?: 'none' | 'read';
  readonly limits?: boolean;
  readonly files?: readonly string[];
  /** Hosts of `host.fetch`: `api.example`, `api.example:8443` (that port alone), `*.example` (below it), `*`. */
  readonly net?: readonly { readonly host: string; readonly reason: string }[];
  readonly secrets?: readonly string[];
  /** `maxBytes` bounds the keys and values that it keeps. */
  readonly kv?: { readonly maxBytes: number };
}

/** Is what a plugin says about itself in manifest.json. Its schema is `MANIFEST_SCHEMA`. */
export interface Manifest {
  /** One word for a built-in plugin or one in a folder; `namespace/name` for one from a marketplace. */
  readonly name: string;
  readonly version: string;
  readonly title: string;
  readonly summary: string;
  readonly stage: Stage;
  readonly hooks: readonly HookName[];
  readonly scopes: readonly ('global' | 'api' | 'route' | 'consumer' | 'group')[];
  readonly failPolicy: FailPolicy;
  readonly limits: { readonly timeoutMs: number; readonly memoryMb: number };
  readonly permissions: Permissions;
  readonly engines: { readonly gateway: string };
  /** SPDX expression. */
  readonly license?: string;
  readonly homepage?: string;
  readonly repository?: string;
  readonly categories?: readonly string[];
  readonly keywords?: readonly string[];
  /** Counts the shapes that the configuration has had; `migrate` brings an older one to this. Absent is 1. */
  readonly configVersion?: number;
}

/** Is a plugin as data: manifest and config schema, checked. */
export interface InstalledPlugin {
  readonly manifest: Manifest;
  readonly configSchema: JsonSchema;
}

/** Says whether `version` of the contract is in a manifest's `engines.gateway`, which is `^major.minor.patch`. */
export function fitsEngine(range: string, version: string): boolean {
  const need = range.slice(1).split('.').map(Number);
  const have = version.split('.').map(Number);
  const [minor = 0, patch = 0] = [(have[1] ?? 0) - (need[1] ?? 0), (have[2] ?? 0) - (need[2] ?? 0)];
  return have[0] === need[0] && (minor > 0 || (minor === 0 && patch >= 0));
}

/** Says whether one of `patterns` stands for a header field, or for all that another pattern stands for. */
export function coversHeader(patterns: readonly string[], name: string): boolean {
  return patterns.some((one) => one === name || (one.endsWith('*') && name.startsWith(one.slice(0, -1))));
}

/** Says whether one of `hosts`, as in `permissions.net`, stands for a host with or without port, or for another pattern. */
export function coversHost(hosts: readonly string[], host: string): boolean {
  const name = host.replace(PORT, '');
  return hosts.some((one) => {
    if (one === '*' || one === host || one === name) return true;
    // `*.example` stands for what is below it, not for `example` itself.
    const [wanted, pattern] = PORT.test(one) ? [host, one] : [name, one];
    return pattern.startsWith('*.') && wanted.endsWith(pattern.slice(1)) && wanted.length >= pattern.length;
  });
}

/** Gives what a message's `headers` permission comes to: patterns that may be read, and that may be written. */
export function listHeaderPatterns(headers: Access | HeaderPermissions | undefined): Required<HeaderPermissions> {
  if (headers === undefined || headers === 'none') return { read: [], write: [] };
  if (typeof headers === 'string') return { read: ['*'], write: headers === 'write' ? ['*'] : [] };
  const write = headers.write ?? [];
  return { read: [...(headers.read ?? []), ...write], write };
}
