// The shape of a route, of one call to it and of its answer: handlers see these, never koa.
// Must not hold behaviour of a resource.

import type { InstalledPlugin } from '../gateway/core/manifest.ts';
import type { Logger } from '../gateway/core/plugin.ts';
import type { Marketplace } from './marketplace/marketplace.ts';
import type { BodyKind } from './middleware/body.ts';
import type { Query, QueryName } from './middleware/query.ts';
import type { Publisher } from './publish.ts';
import type { Database } from './store/database.ts';
import type { NodeWatch } from './wait.ts';

/**
 * Says what a token may do: viewer reads, editor also writes the configuration, owner does everything. Publisher and reviewer
 * are of the marketplace alone: they neither read nor write the configuration.
 */
export type Role = 'viewer' | 'editor' | 'owner' | 'publisher' | 'reviewer';

/** Names what a route takes: one of the roles, or `any` token. */
export type Access = Role | 'any';

/** Says which routes each role may call. */
export const ROLE_ACCESS: Readonly<Record<Role, readonly Access[]>> = {
  viewer: ['any', 'viewer'],
  editor: ['any', 'viewer', 'editor'],
  owner: ['any', 'viewer', 'editor', 'publisher', 'reviewer', 'owner'],
  publisher: ['any', 'publisher'],
  reviewer: ['any', 'reviewer'],
};

/** Is who calls. */
export interface Actor {
  readonly tokenId: string;
  readonly name: string;
  readonly role: Role;
}

/** Is what handlers work with. */
export interface Services {
  readonly database: Database;
  readonly publisher: Publisher;
  readonly nodes: NodeWatch;
  readonly plugins: ReadonlyMap<string, InstalledPlugin>;
  readonly marketplace: Marketplace;
  readonly secretKey: Uint8Array;
  readonly log: Logger;
  readonly version: string;
}

/** Is one call of a route, read and checked. */
export interface Call {
  readonly services: Services;
  readonly actor: Actor;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  /** Undefined when the route takes none. */
  readonly body: unknown;
  readonly ifMatch: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly accept: string;
}

/** Is what a handler answers. */
export interface Answer {
  readonly status?: number;
  readonly body?: unknown;
  /** Another media type than JSON; `body` is then text or bytes. */
  readonly mediaType?: string;
  readonly etag?: string;
  readonly location?: string;
  readonly revision?: number;
}

/** Is one line of the table of routes: who may call it, what it takes, what it does. */
export interface RouteSpec {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  /** `public` needs no token. */
  readonly role: Access | 'public';
  readonly summary: string;
  readonly query?: readonly QueryName[];
  readonly body?: BodyKind;
  /** Name of the component schema of the body and of the answer, for OpenAPI. */
  readonly takes?: string;
  readonly gives?: string;
  /** Media type of the answer when it is bytes and no component schema. */
  readonly givesBytes?: string;
  /** Status of success; 200 when absent. */
  readonly status?: number;
  readonly handle: (call: Call) => Promise<Answer>;
}
