// What the translations of a Kong file share: the entities, the draft, and which became which.
// Must not translate anything.
import type { ApiDraft, ConsumerDraft, ImportDraft, RouteDraft } from '../draft.ts';
import { NamePool } from '../names.ts';
import { isRecord, type Source } from '../source.ts';
import type { Entities, Entity } from './entities.ts';

/** Is how Kong ranks a route. Larger first, field by field. */
export interface KongRank {
  /** How many kinds of fields the route names. */
  readonly weight: number;
  readonly hasPlainHosts: boolean;
  readonly headerCount: number;
  readonly regexPriority: number;
  /** Of two that are else the same, the older wins; undefined when the file does not say. */
  readonly createdAt: number | undefined;
  /** Each path as written here, and as it was. */
  readonly paths: readonly { readonly written: string; readonly original: string }[];
}

/** Is a route as translated, with its api. */
export interface PlacedRoute {
  readonly api: ApiDraft;
  readonly route: RouteDraft;
}

/** Is one import. */
export interface KongImport {
  readonly draft: ImportDraft;
  readonly entities: Entities;
  /** Whether paths that are expressions say so with `~`, as from format 3.0 on. */
  readonly hasMarkedExpressions: boolean;
  /** Configurations of plugins that decK keeps apart, by name. */
  readonly sharedConfigs: Source;
  readonly apis: Map<Entity, ApiDraft>;
  readonly routes: Map<Entity, PlacedRoute>;
  readonly consumers: Map<Entity, ConsumerDraft>;
  readonly groups: Map<Entity, string>;
  readonly certificates: Map<Entity, string>;
  readonly ranks: Map<RouteDraft, KongRank>;
  /** How jwt secrets are encoded: Kong's plugins say it, here each secret does. Undefined when the plugins disagree. */
  readonly secretEncoding: 'utf8' | 'base64url' | undefined;
  /** Kong's upstreams, by their names in lower case. */
  readonly upstreamsByName: ReadonlyMap<string, Entity>;
  readonly upstreamNames: NamePool;
  /** Upstreams as written, by what they are made of. */
  readonly upstreams: Map<string, string>;
}

/** Opens an import. */
export function openImport(draft: ImportDraft, entities: Entities, file: Source): KongImport {
  const shared = file['_plugin_configs'];
  const upstreams = entities.of('upstreams');
  return {
    draft,
    entities,
    hasMarkedExpressions: readFormatVersion(file) === '3.0',
    sharedConfigs: isRecord(shared) ? shared : {},
    apis: new Map(),
    routes: new Map(),
    consumers: new Map(),
    groups: new Map(),
    certificates: new Map(),
    ranks: new Map(),
    secretEncoding: readSecretEncoding(entities, isRecord(shared) ? shared : {}),
    upstreamsByName: new Map(upstreams.map((entity) => [String(entity.value['name']).toLowerCase(), entity])),
    upstreamNames: new NamePool(upstreams.map(({ value }) => String(value['name']))),
    upstreams: new Map(),
  };
}

/** Gives the version of the format; empty when the file says none. Unquoted, YAML reads 3.0 as a number. */
export function readFormatVersion({ _format_version: version }: Source): string {
  return typeof version === 'number' ? version.toFixed(1) : String(version ?? '');
}

/** Fields that every entity has and that mean nothing here. */
export const SERVER_SET: readonly string[] = ['id', 'created_at', 'updated_at', 'ws_id'];

/** Gives tags that Sallyport takes; what is no tag here is told. */
export function readTags(kong: KongImport, entity: Entity): { readonly tags?: readonly string[] } {
  const given = entity.value['tags'];
  if (!Array.isArray(given) || given.length === 0) return {};
  const texts = [...new Set(given.map(String))];
  const tags = texts.filter((tag) => /^[^,/\p{Cc}]{1,128}$/u.test(tag)).slice(0, 50);
  if (tags.length < texts.length) kong.draft.note(entity.place, 'some tags are left out: at most 50, without , and /');
  return tags.length === 0 ? {} : { tags };
}

function readSecretEncoding(entities: Entities, shared: Source): 'utf8' | 'base64url' | undefined {
  const configs = entities.of('plugins').filter(({ value }) => value['name'] === 'jwt');
  const isEncoded = (config: unknown): boolean | undefined =>
    isRecord(config) && typeof config['secret_is_base64'] === 'boolean' ? config['secret_is_base64'] : undefined;
  const flags = new Set(
    configs.map(({ value }) => isEncoded(value['config']) ?? isEncoded(shared[String(value['_config'])]) ?? false),
  );
  if (flags.size > 1) return undefined;
  return flags.has(true) ? 'base64url' : 'utf8';
}
