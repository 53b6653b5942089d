// What a plugin was granted, made ready to be asked on every operation.
// Must not apply anything.
import { isReserved } from '../core/exchange/field-name.ts';
import { coversHost, listHeaderPatterns, type Permissions } from '../core/manifest.ts';
import type { Credential, Identity, Stage } from '../core/plugin.ts';
import { NamePatterns } from './guest/names.ts';
import type { Side } from './messages.ts';

/** Is thrown when a plugin does, or asks for, what it was not granted. */
export class DeniedError extends Error {
  override readonly name = 'DeniedError';

  constructor(what: string) {
    super(`not granted: ${what}`);
  }
}

/** Is what a plugin may do to one side of an exchange. */
export interface SideGrants {
  readonly readHeaders: NamePatterns;
  readonly writeHeaders: NamePatterns;
  readonly canReadPath: boolean;
  readonly canWritePath: boolean;
  readonly canReadQuery: boolean;
  readonly canWriteQuery: boolean;
  readonly canReadBody: boolean;
  readonly canWriteBody: boolean;
}

/** Is all that a plugin may do. */
export interface Grants {
  readonly permissions: Permissions;
  readonly request: SideGrants;
  readonly response: SideGrants;
  readonly canRespond: boolean;
  readonly canIdentify: boolean;
  readonly canFindConsumers: boolean;
  readonly canLimit: boolean;
  /** @see coversHost */
  readonly hosts: readonly string[];
  readonly secrets: ReadonlySet<string>;
  readonly kvBytes: number;
}

/** Makes permissions ready. Only authenticators may say who calls. */
export function buildGrants(permissions: Permissions, stage: Stage): Grants {
  return {
    permissions,
    request: buildSide(permissions, 'request'),
    response: buildSide(permissions, 'response'),
    canRespond: permissions.respond === true,
    canIdentify: permissions.identify === true && stage === 'authenticate',
    canFindConsumers: permissions.consumers === 'read',
    canLimit: permissions.limits === true,
    hosts: (permissions.net ?? []).map(({ host }) => host.toLowerCase()),
    secrets: new Set(permissions.secrets),
    kvBytes: permissions.kv?.maxBytes ?? 0,
  };
}

function buildSide(permissions: Permissions, side: Side): SideGrants {
  const { headers, path, query, body } = permissions[side] ?? {};
  const patterns = listHeaderPatterns(headers);
  const canRead = (level: 'none' | 'read' | 'write' = 'none'): boolean => level !== 'none';
  return {
    readHeaders: new NamePatterns(patterns.read),
    // Who is granted all names is not granted those by which upstreams learn who calls, and where to.
    writeHeaders: new NamePatterns(patterns.write, isReserved),
    canReadPath: canRead(path),
    canWritePath: path === 'write',
    canReadQuery: canRead(query),
    canWriteQuery: query === 'write',
    canReadBody: canRead(body),
    canWriteBody: body === 'write',
  };
}

/** Gives a credential as a plugin may see it: what proves it is for those alone who may say who calls. */
export function cutCredential({ canIdentify }: Grants, credential: Credential): Credential {
  return canIdentify ? credential : { ...credential, lookup: '', data: {} };
}

/** Gives an identity as a plugin may see it. */
export function cutIdentity(grants: Grants, identity: Identity): Identity {
  return grants.canIdentify ? identity : { ...identity, credential: cutCredential(grants, identity.credential) };
}

/**
 * Says what is wrong with where a plugin wants to go; undefined = nothing. Names are compared, not addresses: who owns a
 * granted name says where it leads.
 */
export function findUrlFault({ hosts }: Grants, text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  if (!url || !isWeb || url.username !== '' || url.password !== '') return 'fetch what is no plain http(s) URL';
  return coversHost(hosts, url.host) ? undefined : `fetch from ${url.host}`;
}
