// Turns Kong's routes into routes of apis. A route that cannot be said whole is left out whole: part of it would match more.
// Must not compare routes with one another: that is order.ts.
import type { ApiDraft, RouteDraft } from '../draft.ts';
import { NamePool } from '../names.ts';
import { Fields, isRecord, type Source } from '../source.ts';
import { type KongImport, type KongRank, readTags, SERVER_SET } from './context.ts';
import type { Entity } from './entities.ts';
import { translatePath } from './paths.ts';

/** Reads of a route that mean nothing here: nothing is buffered whole in either direction. */
const MEANINGLESS = ['request_buffering', 'response_buffering', 'https_redirect_status_code', 'plugins', 'service'];
const HOST = /^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62})?(\.[a-z0-9_]([a-z0-9_-]{0,62})?)*$/;

/** Collects what keeps a route from being translated: `lost` leaves it out, `off` only turns its api off, `notes` not even that. */
interface Faults {
  readonly lost: string[];
  readonly off: string[];
  readonly notes: string[];
}

/** Translates every route into the api of its service. */
export function translateRoutes(kong: KongImport): void {
  const pools = new Map<ApiDraft, NamePool>();
  for (const entity of kong.entities.of('routes')) {
    const api = apiOf(kong, entity);
    const { service } = entity.parents;
    const siblings = service === undefined ? [entity] : kong.entities.below(service, 'routes');
    const pool = pools.get(api) ?? new NamePool(siblings.map(({ value }) => String(value['name'])));
    pools.set(api, pool);
    translateRoute(kong, entity, { api, pool });
  }
}

/** Gives the api of a route; one without a service answers by its plugins alone, and is left out with its own. */
function apiOf(kong: KongImport, entity: Entity): ApiDraft {
  const { service } = entity.parents;
  const known = service === undefined ? undefined : kong.apis.get(service);
  if (known !== undefined) return known;
  const name = String(entity.value['name'] ?? entity.place);
  const base = { place: entity.place, name, fields: {}, routes: [], reach: new Set<string>() };
  const api: ApiDraft = { ...base, wasEnabled: true, isOff: true, hasLostRoutes: false };
  kong.draft.removedApis.push(api);
  kong.draft.note(entity.place, 'left out: it has no service in the file, and an api needs an upstream');
  return api;
}

function translateRoute(
  kong: KongImport,
  entity: Entity,
  { api, pool }: { readonly api: ApiDraft; readonly pool: NamePool },
): void {
  const fields = new Fields(entity.value, entity.place);
  fields.skip(...SERVER_SET, ...MEANINGLESS, 'tags', 'name');
  const faults: Faults = { lost: [], off: [], notes: [] };
  const written = readPaths(kong, fields, faults);
  const hosts = readHosts(fields, faults);
  const headers = readHeaders(fields, faults);
  checkProtocols(fields, faults);
  checkForeign(fields, faults);
  checkSame(api, fields, faults);
  const methods = [...new Set(fields.texts('methods')?.map((method) => method.toUpperCase()))];
  const name = pool.claim(text(entity.value['name']), `route-${api.routes.length + 1}`);
  const route: RouteDraft = {
    place: entity.place,
    name,
    hosts,
    paths: [...new Set(written.map((one) => one.written))],
    methods,
    headers,
    stripPath: fields.flag('strip_path') ?? true,
    isBound: false,
  };
  kong.ranks.set(
    route,
    rankRoute(entity, route, { paths: written, regexPriority: fields.number('regex_priority') ?? 0 }),
  );
  for (const key of fields.listUnasked()) faults.off.push(`there is no counterpart of ${key}`);
  kong.routes.set(entity, { api, route });
  readTags(kong, entity);
  if (faults.lost.length === 0) api.routes.push(route);
  // A stream shares no request with HTTP, so nobody inherits any.
  else if (!isStream(fields)) api.hasLostRoutes = true;
  if (kong.draft.removedApis.includes(api)) return;
  for (const fault of faults.lost) kong.draft.switchOff([api], entity.place, `route left out: ${fault}`);
  if (faults.lost.length === 0) for (const note of faults.notes) kong.draft.note(entity.place, note);
  for (const fault of faults.off) kong.draft.switchOff([api], entity.place, fault);
}

function readPaths(kong: KongImport, fields: Fields, { lost, off }: Faults): KongRank['paths'] {
  const isStripped = fields.flag('strip_path') ?? true;
  const isSecond = fields.text('path_handling') === 'v1';
  return (fields.texts('paths') ?? []).flatMap((original, index) => {
    const translated = translatePath(original, kong.hasMarkedExpressions);
    if (!translated.ok) {
      lost.push(`paths[${index}] ${original}: ${translated.reason}`);
      return [];
    }
    const { path, isExpression } = translated;
    if (isStripped && path.startsWith('~')) {
      off.push(
        `paths[${index}] ${original}: strip_path takes off what an expression matched, which cannot be done here`,
      );
    }
    if (isSecond && !isExpression && path.length > 1 && path.endsWith('/')) {
      off.push(`paths[${index}] ${original}: path_handling v1 joins it without a slash, which cannot be done here`);
    }
    return [{ written: path, original }];
  });
}

function readHosts(fields: Fields, { lost }: Faults): readonly string[] {
  const hosts = [...new Set(fields.texts('hosts')?.map((host) => host.toLowerCase()))];
  for (const host of hosts) {
    if (!HOST.test(host)) lost.push(`host ${host}: only names and *.domain, without a port, can be matched`);
  }
  return hosts;
}

function readHeaders(fields: Fields, { lost }: Faults): Readonly<Record<string, readonly string[]>> {
  const given = fields.get('headers');
  if (!isRecord(given)) return {};
  const entries = Object.entries(given as Source).map(([name, values]) => {
    const texts = (Array.isArray(values) ? values : [values]).map(String);
    if (texts.some((value) => value.startsWith('~*')))
      lost.push(`header ${name}: expressions for values are not supported`);
    return [name.toLowerCase(), [...new Set(texts)]] as const;
  });
  return Object.fromEntries(entries);
}

function checkProtocols(fields: Fields, { lost, off, notes }: Faults): void {
  const protocols = fields.texts('protocols') ?? ['http', 'https'];
  const foreign = protocols.find((protocol) => !['http', 'https', 'grpc', 'grpcs'].includes(protocol));
  if (foreign !== undefined) lost.push(`protocol ${foreign} has no counterpart`);
  const isSecure = protocols.includes('https') || protocols.includes('grpcs');
  if (!isSecure) notes.push('it takes no requests over TLS in Kong, and here a route serves every listener');
  const isPlain = protocols.includes('http') || protocols.includes('grpc');
  if (!isPlain && foreign === undefined)
    off.push('it takes no requests in clear, and here a route serves every listener; serve TLS alone, then enable it');
}

function isStream(fields: Fields): boolean {
  const protocols = fields.texts('protocols') ?? ['http'];
  return protocols.every((protocol) => ['tcp', 'tls', 'tls_passthrough', 'udp'].includes(protocol));
}

function checkForeign(fields: Fields, { lost }: Faults): void {
  for (const key of ['snis', 'sources', 'destinations'] as const) {
    const given = fields.get(key);
    if (Array.isArray(given) && given.length > 0) lost.push(`requests cannot be matched by ${key}`);
  }
  if (fields.get('expression') !== undefined) {
    fields.skip('priority');
    lost.push('routes in the language of the expressions router are not translated; write hosts, paths and methods');
  }
}

/** Kong says this of each route, Sallyport of the api. */
function checkSame(api: ApiDraft, fields: Fields, { off }: Faults): void {
  const preserves = fields.flag('preserve_host') ?? false;
  api.fields['preserveHost'] ??= preserves;
  if (api.fields['preserveHost'] === preserves) return;
  off.push('preserve_host differs from that of another route of the service; an api has one: make two services of it');
}

function rankRoute(entity: Entity, route: RouteDraft, rest: Pick<KongRank, 'paths' | 'regexPriority'>): KongRank {
  const { hosts, methods, headers } = route;
  const headerCount = Object.keys(headers).length;
  const kinds = [hosts.length, methods.length, headerCount, rest.paths.length].filter((count) => count > 0);
  const createdAt = entity.value['created_at'];
  return {
    ...rest,
    weight: kinds.length,
    hasPlainHosts: hosts.length > 0 && hosts.every((host) => !host.includes('*')),
    headerCount,
    createdAt: typeof createdAt === 'number' ? createdAt : undefined,
  };
}

function text(value: unknown): string | undefined {
  return value === undefined || value === null ? undefined : String(value);
}
