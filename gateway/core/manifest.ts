// What a plugin says about itself, as data: read by the admin, the console and the gateway without running its code.
// Must not import a handler.

import type { Stage } from './plugin.ts';
import type { JsonSchema } from './schemas.ts';

/** Names the hooks a plugin may have. */
export type HookName =
  | 'onRequest'
  | 'onRequestChunk'
  | 'onUpstreamRequest'
  | 'onResponse'
  | 'onResponseChunk'
  | 'onLog';

/** Decides what a failure of a plugin does to the request: refuse it, go on without, or (marketplace) use the last good version. */
export type FailPolicy = 'closed' | 'open' | 'previous';

/** Is what a plugin may do to a message. */
export interface MessagePermissions {
  readonly headers?: 'none' | 'read' | 'write';
  readonly path?: 'none' | 'read' | 'write';
  readonly query?: 'none' | 'read' | 'write';
  readonly body?: 'none' | 'read' | 'write';
}

/** Is what a plugin says about itself in manifest.json. Its schema is `MANIFEST_SCHEMA`. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly title: string;
  readonly summary: string;
  readonly stage: Stage;
  readonly hooks: readonly HookName[];
  readonly scopes: readonly ('global' | 'api' | 'route' | 'consumer' | 'group')[];
  readonly failPolicy: FailPolicy;
  readonly limits: { readonly timeoutMs: number; readonly memoryMb: number };
  readonly permissions: {
    readonly request?: MessagePermissions;
    readonly response?: MessagePermissions;
    readonly respond?: boolean;
    readonly identify?: boolean;
    readonly consumers?: 'none' | 'read';
    readonly limits?: boolean;
    readonly files?: readonly string[];
    readonly net?: readonly { readonly host: string; readonly reason: string }[];
    readonly secrets?: readonly string[];
  };
  readonly engines: { readonly gateway: string };
}

/** Is a plugin as data: manifest and config schema, checked. */
export interface InstalledPlugin {
  readonly manifest: Manifest;
  readonly configSchema: JsonSchema;
}
