// Maps rows of the configuration tables to the entities of the model, in the form in which revisions store them.
// Must not query.
import type {
  Api,
  Binding,
  Certificate,
  Consumer,
  Credential,
  Install,
  Route,
  Scope,
  Target,
  Upstream,
} from '../../core/model.ts';

interface EntityRow {
  readonly id: string;
  readonly tags: readonly string[];
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Is a row of `apis` with the name of its upstream and its routes in order, as JSON. */
export interface ApiRow extends EntityRow {
  readonly name: string;
  readonly upstream_url: string | null;
  readonly upstream_name: string | null;
  readonly enabled: boolean;
  readonly preserve_host: boolean;
  readonly timeouts: Api['timeouts'];
  readonly retries: Api['retries'];
  readonly client_certificate: NonNullable<Api['clientCertificate']> | null;
  readonly record_per_second: number | null;
  readonly routes: readonly RouteRow[];
}

interface RouteRow {
  readonly id: string;
  readonly name: string | null;
  readonly hosts: readonly string[];
  readonly paths: readonly string[];
  readonly methods: readonly string[];
  readonly headers: Route['headers'];
  readonly query: Route['query'];
  readonly strip_path: boolean;
  readonly timeouts: NonNullable<Route['timeouts']> | null;
}

/** Is a row of `certificates`. */
export interface CertificateRow extends EntityRow {
  readonly name: string;
  readonly hosts: readonly string[];
  readonly certificate: string;
  readonly sealed_key: string;
}

/** Is a row of `upstreams` with its targets in order, as JSON. */
export interface UpstreamRow extends EntityRow {
  readonly name: string;
  readonly protocol: Upstream['protocol'];
  readonly load_balancing: Upstream['loadBalancing'];
  readonly health_checks: Upstream['healthChecks'];
  readonly tls: Upstream['tls'];
  readonly targets: readonly Target[];
}

/** Is a row of `consumers` with the names of its groups. */
export interface ConsumerRow extends EntityRow {
  readonly username: string;
  readonly custom_id: string | null;
  readonly groups: readonly string[];
}

/** Is a row of `credentials`. */
export interface CredentialRow extends EntityRow {
  readonly consumer_id: string;
  readonly type: string;
  readonly lookup: string;
  readonly data: Credential['data'];
}

/** Is a row of `installs`. */
export interface InstallRow extends EntityRow {
  readonly plugin: string;
  readonly version: string;
  readonly sha256: string;
  readonly granted: Install['granted'];
  readonly manifest: Install['manifest'];
  readonly config_schema: Install['configSchema'];
  readonly tier: Install['tier'];
  readonly sealed_secrets: Install['secrets'];
  readonly previous: NonNullable<Install['previous']> | null;
  readonly canary: NonNullable<Install['canary']> | null;
  readonly shadow: NonNullable<Install['shadow']> | null;
}

/** Is a row of `bindings`. */
export interface BindingRow extends EntityRow {
  readonly plugin: string;
  readonly name: string | null;
  readonly api_id: string | null;
  readonly route_id: string | null;
  readonly consumer_id: string | null;
  readonly group_name: string | null;
  readonly config: Binding['config'];
  readonly enabled: boolean;
  readonly sort_order: number;
  readonly condition: Binding['when'] | null;
  readonly effect: Binding['effect'];
  readonly mandatory: boolean;
}

/** Gives the api of a row. */
export function toApi(row: ApiRow): Api {
  return {
    id: row.id,
    name: row.name,
    upstream: row.upstream_url ?? { name: row.upstream_name ?? '' },
    routes: row.routes.map(toRoute),
    enabled: row.enabled,
    preserveHost: row.preserve_host,
    timeouts: row.timeouts,
    retries: row.retries,
    ...(row.client_certificate === null ? {} : { clientCertificate: row.client_certificate }),
    ...(row.record_per_second === null ? {} : { recordPerSecond: row.record_per_second }),
    ...toCommon(row),
  };
}

/** Gives the certificate of a row; its key is sealed, as stored. */
export function toCertificate(row: CertificateRow): Certificate {
  const { id, name, hosts, certificate, sealed_key: privateKey } = row;
  return { id, name, hosts, certificate, privateKey, ...toCommon(row) };
}

/** Gives the upstream of a row. */
export function toUpstream(row: UpstreamRow): Upstream {
  return {
    id: row.id,
    name: row.name,
    protocol: row.protocol,
    targets: row.targets,
    loadBalancing: row.load_balancing,
    healthChecks: row.health_checks,
    tls: row.tls,
    ...toCommon(row),
  };
}

/** Gives the consumer of a row. */
export function toConsumer(row: ConsumerRow): Consumer {
  return {
    id: row.id,
    username: row.username,
    ...(row.custom_id === null ? {} : { customId: row.custom_id }),
    groups: row.groups,
    ...toCommon(row),
  };
}

/** Gives the credential of a row: hashed or sealed, as stored. */
export function toCredential(row: CredentialRow): Credential {
  return {
    id: row.id,
    consumerId: row.consumer_id,
    type: row.type,
    lookup: row.lookup,
    data: row.data,
    ...toCommon(row),
  };
}

/** Gives the install of a row; its secrets are sealed, as stored. */
export function toInstall(row: InstallRow): Install {
  return {
    id: row.id,
    plugin: row.plugin,
    version: row.version,
    sha256: row.sha256,
    granted: row.granted,
    manifest: row.manifest,
    configSchema: row.config_schema,
    tier: row.tier,
    secrets: row.sealed_secrets,
    ...(row.previous === null ? {} : { previous: row.previous }),
    ...(row.canary === null ? {} : { canary: row.canary }),
    ...(row.shadow === null ? {} : { shadow: row.shadow }),
    ...toCommon(row),
  };
}

/** Gives the binding of a row. */
export function toBinding(row: BindingRow): Binding {
  return {
    id: row.id,
    plugin: row.plugin,
    ...(row.name === null ? {} : { name: row.name }),
    scope: toScope(row),
    config: row.config,
    enabled: row.enabled,
    order: row.sort_order,
    ...(row.condition === null || row.condition === undefined ? {} : { when: row.condition }),
    effect: row.effect,
    mandatory: row.mandatory,
    ...toCommon(row),
  };
}

function toScope({ api_id: api, route_id: route, consumer_id: consumer, group_name: group }: BindingRow): Scope {
  return {
    ...(api === null ? {} : { api }),
    ...(route === null ? {} : { route }),
    ...(consumer === null ? {} : { consumer }),
    ...(group === null ? {} : { group }),
  };
}

function toRoute(row: RouteRow): Route {
  return {
    id: row.id,
    ...(row.name === null ? {} : { name: row.name }),
    hosts: row.hosts,
    paths: row.paths,
    methods: row.methods,
    headers: row.headers,
    query: row.query,
    stripPath: row.strip_path,
    ...(row.timeouts === null ? {} : { timeouts: row.timeouts }),
  };
}

function toCommon(row: EntityRow): Pick<Api, 'tags' | 'createdAt' | 'updatedAt'> {
  return { tags: row.tags, createdAt: row.created_at.toISOString(), updatedAt: row.updated_at.toISOString() };
}
