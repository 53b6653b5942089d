// The configuration as plain readonly data: what Postgres stores, REST shows and a snapshot is compiled from.
// Must not hold behaviour, defaults or checks: those are in schemas.ts and config.ts.
import type { CanaryPin, PluginPin, PreviousPin, ShadowPin } from './document/pins.ts';

export type {
  CanaryPin,
  CanaryRule,
  ConfigStep,
  PluginPin,
  PreviousPin,
  ShadowPin,
  SplitKey,
} from './document/pins.ts';

/** Bounds how long an upstream may take, in milliseconds: each try, and all of it. */
export interface Timeouts {
  readonly connectMs: number;
  /** From the last byte of the request sent to the first byte of the response head. */
  readonly responseMs: number;
  /** Longest silence while a body is in flight, either way. */
  readonly idleMs: number;
  /** From the head of a request to the end of its target's response, all tries included. Absent or 0 = not bounded. */
  readonly totalMs?: number;
}

/** Bounds retries: how many further tries a request gets, by the safe rule only. */
export interface Retries {
  readonly attempts: number;
}

/** Matches requests. Every declared field must match; inside a field one value suffices. An empty field is not declared. */
export interface Route {
  readonly id: string;
  readonly name?: string;
  /** Exact (`api.example.com`) or wildcard (`*.example.com`), lower case, without a port. */
  readonly hosts: readonly string[];
  /** `/prefix` on segment borders, `=/exact`, `~/regex` (linear time, anchored at both ends). */
  readonly paths: readonly string[];
  readonly methods: readonly string[];
  /** Lower-case header name to the values that match. */
  readonly headers: Readonly<Record<string, readonly string[]>>;
  readonly query: Readonly<Record<string, readonly string[]>>;
  /** Takes the matched prefix (or exact path) off before forwarding. Regex paths are never stripped. */
  readonly stripPath: boolean;
  /** Takes the place of the api's, each by itself. */
  readonly timeouts?: Partial<Timeouts>;
}

/**
 * Says what an api wants to know of who connects. `optional`: a client without a certificate passes, one with a certificate
 * that none of `ca` issued does not. Asked on TLS only; what `required` guards does not answer without.
 */
export interface ClientCertificatePolicy {
  readonly mode: 'off' | 'optional' | 'required';
  /** PEM: the authorities whose clients are let in, roots included. */
  readonly ca: string;
  /** Tells the upstream whose certificate it was, in fields that clients cannot set. */
  readonly forward: boolean;
}

/** Names the upstream of an api: a URL of a single target, or an upstream by name. */
export type UpstreamRef = string | { readonly name: string };

/** Is what an operator publishes: routes, an upstream and defaults. */
export interface Api {
  readonly id: string;
  readonly name: string;
  readonly upstream: UpstreamRef;
  readonly routes: readonly Route[];
  readonly enabled: boolean;
  readonly preserveHost: boolean;
  readonly timeouts: Timeouts;
  readonly retries: Retries;
  /** Absent = off. */
  readonly clientCertificate?: ClientCertificatePolicy;
  /** Requests that each worker keeps in a second, redacted, to run them again. Absent = none. */
  readonly recordPerSecond?: number;
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Is one host:port of an upstream. `weight` 0..65535; 0 takes no traffic. */
export interface Target {
  readonly host: string;
  readonly port: number;
  readonly weight: number;
}

/** Asks each target a question on a schedule. */
export interface ActiveHealthCheck {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly healthyStatuses: readonly number[];
  readonly healthyAfter: number;
  readonly unhealthyAfter: number;
}

/** Learns from live traffic: a target with that many failures in a row rests for `ejectMs`. 0 failures = off. */
export interface PassiveHealthCheck {
  readonly failures: number;
  readonly ejectMs: number;
}

/** Says how targets are spoken to over TLS. */
export interface UpstreamTls {
  readonly verify: boolean;
  /** Name to ask for and to verify; the host of the target when absent. */
  readonly serverName?: string;
  /** PEM: the only certificates that targets are verified by; the usual authorities when absent. */
  readonly ca?: string;
  /** Names the certificate that is shown to targets. */
  readonly clientCertificate?: { readonly name: string };
}

/** Chooses among healthy targets. */
export type LoadBalancing = 'round-robin' | 'least-connections' | 'random';

/** Names how targets are spoken to: HTTP/1.1 or HTTP/2, in clear or over TLS. */
export type UpstreamProtocol = 'http' | 'https' | 'h2c' | 'h2';

/** Is a named group of targets. */
export interface Upstream {
  readonly id: string;
  readonly name: string;
  readonly protocol: UpstreamProtocol;
  readonly targets: readonly Target[];
  readonly loadBalancing: LoadBalancing;
  readonly healthChecks: { readonly active?: ActiveHealthCheck; readonly passive: PassiveHealthCheck };
  readonly tls: UpstreamTls;
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Is a certificate with its private key: shown to clients that ask for one of its hosts, or by upstreams to their targets. */
export interface Certificate {
  readonly id: string;
  readonly name: string;
  /** Exact (`api.example.com`) or wildcard of one label (`*.example.com`), lower case. Empty = shown to no client. */
  readonly hosts: readonly string[];
  /** PEM: the leaf first, then the issuer of each. */
  readonly certificate: string;
  /** PEM (PKCS #8): sealed (AES-256-GCM) at rest, open only in the memory of workers. */
  readonly privateKey: string;
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Is who calls. `groups` are names. */
export interface Consumer {
  readonly id: string;
  readonly username: string;
  readonly customId?: string;
  readonly groups: readonly string[];
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/**
 * Is how a consumer proves who it is, as stored: no secret in clear.
 * `lookup` finds it in constant time: base64url SHA-256 of an API key, the user name of basic-auth, the `iss` of a jwt.
 * `data` depends on `type`: key-auth `{}`; basic-auth `{ passwordHash }`; jwt `{ algorithm, secret?, publicKey? }`,
 * where `secret` is sealed (AES-256-GCM) at rest and opened only in memory.
 */
export interface Credential {
  readonly id: string;
  readonly consumerId: string;
  readonly type: string;
  readonly lookup: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Says where a binding applies; all named parts must match. Empty = global. Values are ids; `group` is a name. */
export interface Scope {
  readonly api?: string;
  readonly route?: string;
  readonly consumer?: string;
  readonly group?: string;
}

/** Narrows a binding to requests: same matching as a route. */
export interface Condition {
  readonly methods?: readonly string[];
  readonly paths?: readonly string[];
  readonly headers?: Readonly<Record<string, readonly string[]>>;
  readonly query?: Readonly<Record<string, readonly string[]>>;
}

/** Puts a plugin to work: plugin + config + scope + order + enabled. */
export interface Binding {
  readonly id: string;
  readonly plugin: string;
  /** Makes another instance of the plugin that runs beside the unnamed one. */
  readonly name?: string;
  readonly scope: Scope;
  readonly config: Readonly<Record<string, unknown>>;
  readonly enabled: boolean;
  /** Order inside the stage, lower first, -1000..1000; the plugin's name breaks ties. */
  readonly order: number;
  readonly when?: Condition;
  readonly effect: 'apply' | 'exclude';
  /** Only on a global binding: no `exclude` takes it away. */
  readonly mandatory: boolean;
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Says where code of a plugin runs. `auto` = as much apart from the gateway as the trust in it asks for. */
export type InstallTier = 'auto' | 'native' | 'isolate' | 'process';

/** Is a plugin of the marketplace, installed: a pin. The bytes travel apart, by their digest. */
export interface Install extends PluginPin {
  readonly id: string;
  /** `namespace/name`, as its manifest says. */
  readonly plugin: string;
  readonly tier: InstallTier;
  /** Values of the secrets that it may read: sealed (AES-256-GCM) at rest, open only in the memory of workers. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Where a rollback leads. */
  readonly previous?: PreviousPin;
  /** Absent = no other version is on trial. */
  readonly canary?: CanaryPin;
  /** Absent = no other version runs in the shadow of this one. Never beside a canary. */
  readonly shadow?: ShadowPin;
  readonly tags: readonly string[];
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** Maps each kind of entity to its type. */
export interface EntityOf {
  readonly certificate: Certificate;
  readonly api: Api;
  readonly upstream: Upstream;
  readonly install: Install;
  readonly binding: Binding;
  readonly consumer: Consumer;
  readonly credential: Credential;
}

/** Names a kind of entity. */
export type EntityKind = keyof EntityOf;

/** Is one difference between two documents: `after` undefined = removed. */
export type Change = {
  [Kind in EntityKind]: { readonly kind: Kind; readonly id: string; readonly after?: EntityOf[Kind] };
}[EntityKind];

/**
 * Brings a document to `revision`. With `isReset` the changes are the whole document and replace all that was there;
 * else they apply on top of `revision - 1` or later. Sources deliver updates; everything downstream is driven by them.
 */
export interface Update {
  readonly revision: number;
  readonly isReset: boolean;
  readonly changes: readonly Change[];
}
