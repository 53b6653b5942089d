// Checks a whole candidate document: what no single entity's schema can see.
// Must stay cheap at 10 000 apis: an entity, and a whole map, that was checked before is not checked again (by identity).
import type { DocumentState } from './config.ts';
import { readPluginConfig } from './config.ts';
import type { Problem } from './errors.ts';
import type { InstalledPlugin } from './manifest.ts';
import type { Api, Binding, EntityKind, Scope } from './model.ts';
import { buildLinearRegExp } from './routing/linear-regexp.ts';
import { readPath } from './routing/path.ts';
import { findFaultsOfCertificates, findFaultsOfUpstreams, findPolicyFault } from './tls/check.ts';

/** Names a fault and the entity it is in; the pointer is relative to that entity. */
export interface EntityProblem extends Problem {
  readonly kind: EntityKind;
  readonly id: string;
}

/** Gives installed plugins by name. */
export type InstalledPlugins = ReadonlyMap<string, InstalledPlugin>;

// Entities and maps are immutable, so what was found good stays good. Binding configs depend on the installed plugins.
const goodApis = new WeakSet<Api>();
const goodBindings = new WeakMap<InstalledPlugins, WeakSet<Binding>>();
const uniqueMaps = new WeakSet<object>();
const goodCertificateMaps = new WeakSet<object>();

/**
 * Checks a candidate whole: uniqueness, references, binding configurations, regular expressions. Empty = good.
 * `consumers: 'elsewhere'` is for data planes that look identities up instead of holding them.
 */
export function checkDocument(
  state: DocumentState,
  plugins: InstalledPlugins,
  options: { readonly consumers: 'here' | 'elsewhere' } = { consumers: 'here' },
): readonly EntityProblem[] {
  const problems: EntityProblem[] = [];
  checkUnique(state, problems);
  checkCertificates(state, problems);
  checkUpstreams(state, problems);
  checkApis(state, problems);
  checkBindings(state, plugins, problems, options.consumers === 'here');
  for (const credential of state.credentials.values()) {
    if (!state.consumers.has(credential.consumerId)) {
      problems.push(problem('credential', credential.id, '/consumerId', 'NOT_FOUND', 'no such consumer'));
    }
  }
  return problems;
}

function problem(kind: EntityKind, id: string, pointer: string, code: string, message: string): EntityProblem {
  return { kind, id, pointer, code, message };
}

function checkUnique(state: DocumentState, problems: EntityProblem[]): void {
  unique(state.certificates, 'certificate', '/name', (certificate) => certificate.name, problems);
  unique(state.apis, 'api', '/name', (api) => api.name, problems);
  unique(state.upstreams, 'upstream', '/name', (upstream) => upstream.name, problems);
  unique(state.consumers, 'consumer', '/username', (consumer) => consumer.username, problems);
  unique(state.consumers, 'consumer', '/customId', (consumer) => consumer.customId, problems);
  unique(state.credentials, 'credential', '', (one) => `${one.type} ${one.lookup}`, problems);
  unique(state.bindings, 'binding', '/scope', bindingKey, problems);
  if (problems.length > 0) return;
  const { certificates, apis, upstreams, consumers, credentials, bindings } = state;
  for (const map of [certificates, apis, upstreams, consumers, credentials, bindings]) uniqueMaps.add(map);
}

function unique<Entity extends { readonly id: string }>(
  map: ReadonlyMap<string, Entity>,
  kind: EntityKind,
  pointer: string,
  keyOf: (entity: Entity) => string | undefined,
  problems: EntityProblem[],
): void {
  if (uniqueMaps.has(map)) return;
  const seen = new Set<string>();
  for (const entity of map.values()) {
    const key = keyOf(entity);
    if (key === undefined) continue;
    if (seen.has(key)) problems.push(problem(kind, entity.id, pointer, 'NOT_UNIQUE', uniqueMessage(kind, pointer)));
    seen.add(key);
  }
}

function uniqueMessage(kind: EntityKind, pointer: string): string {
  if (kind === 'binding') return 'this plugin is already bound in this scope; give the binding a name to run it twice';
  if (kind === 'credential') return 'this credential is already in use';
  return `expected a value that no other ${kind} has in ${pointer}`;
}

/** Gives the key that is unique among bindings: plugin, instance name and scope. */
export function bindingKey(binding: Binding): string {
  const { api = '', route = '', consumer = '', group = '' } = binding.scope;
  return [binding.plugin, binding.name ?? '', api, route, consumer, group].join('\n');
}

function checkCertificates({ certificates }: DocumentState, problems: EntityProblem[]): void {
  if (goodCertificateMaps.has(certificates)) return;
  const before = problems.length;
  for (const [id, fault] of findFaultsOfCertificates(certificates))
    problems.push({ kind: 'certificate', id, ...fault });
  if (problems.length === before) goodCertificateMaps.add(certificates);
}

function checkUpstreams({ upstreams, certificates }: DocumentState, problems: EntityProblem[]): void {
  for (const [id, fault] of findFaultsOfUpstreams(upstreams, certificates)) {
    problems.push({ kind: 'upstream', id, ...fault });
  }
}

function checkApis(state: DocumentState, problems: EntityProblem[]): void {
  const upstreamNames = new Set<string>();
  for (const upstream of state.upstreams.values()) upstreamNames.add(upstream.name);
  for (const api of state.apis.values()) {
    if (typeof api.upstream !== 'string' && !upstreamNames.has(api.upstream.name)) {
      problems.push(problem('api', api.id, '/upstream/name', 'NOT_FOUND', `no upstream named ${api.upstream.name}`));
    }
    if (goodApis.has(api)) continue;
    const before = problems.length;
    checkApi(api, problems);
    if (problems.length === before) goodApis.add(api);
  }
}

function checkApi(api: Api, problems: EntityProblem[]): void {
  if (typeof api.upstream === 'string') {
    const message = findUrlFault(api.upstream);
    if (message) problems.push(problem('api', api.id, '/upstream', 'INVALID', message));
  }
  const fault = findPolicyFault(api);
  if (fault) problems.push({ kind: 'api', id: api.id, ...fault });
  const names = new Set<string>();
  for (const [index, route] of api.routes.entries()) {
    const pointer = `/routes/${index}`;
    if (route.name !== undefined && names.has(route.name)) {
      problems.push(problem('api', api.id, `${pointer}/name`, 'NOT_UNIQUE', 'another route of this api has this name'));
    }
    if (route.name !== undefined) names.add(route.name);
    const declared = route.hosts.length + route.paths.length + route.methods.length;
    if (declared + Object.keys(route.headers).length + Object.keys(route.query).length === 0) {
      const message = 'expected at least one of hosts, paths, methods, headers, query';
      problems.push(problem('api', api.id, pointer, 'INVALID', message));
    }
    checkPaths('api', api.id, pointer, route.paths, problems);
  }
}

function findUrlFault(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A backslash is a slash to URL, and part of a name to whoever reads the text.
  if (!url || url.username || url.password || text.includes('\\')) {
    return 'expected a URL like http://host:port/base, without credentials';
  }
  if (url.port === '0') return 'expected a port from 1 to 65535';
  // A base path is joined with canonical paths, so it must be canonical itself.
  const base = text.replace(/^https?:\/\/[^/]*/, '');
  const fault = base === '' ? undefined : findPathFault(`=${base}`);
  return fault && `the base path: ${fault}`;
}

function checkPaths(
  kind: EntityKind,
  id: string,
  pointer: string,
  paths: readonly string[],
  problems: EntityProblem[],
): void {
  for (const [index, path] of paths.entries()) {
    const message = findPathFault(path);
    if (message) problems.push(problem(kind, id, `${pointer}/paths/${index}`, 'INVALID', message));
  }
}

function findPathFault(path: string): string | undefined {
  const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
  if (path.startsWith('~')) {
    try {
      buildLinearRegExp(path.slice(1));
      return undefined;
    } catch (error) {
      return `expected a regular expression that runs in linear time: ${reasonOf(error)}`;
    }
  }
  // Requests are matched in canonical form, so a path in any other form would never match.
  try {
    const plain = path.startsWith('=') ? path.slice(1) : path;
    const canonical = readPath(plain);
    return canonical === plain ? undefined : `expected the canonical form ${canonical}`;
  } catch (error) {
    return `expected a canonical path: ${reasonOf(error)}`;
  }
}

function checkBindings(
  state: DocumentState,
  plugins: InstalledPlugins,
  problems: EntityProblem[],
  hasConsumers: boolean,
): void {
  const routeOwners = findRouteOwners(state);
  const good = goodBindings.get(plugins) ?? new WeakSet<Binding>();
  goodBindings.set(plugins, good);
  const mandatory = new Set<string>();
  for (const binding of state.bindings.values()) if (binding.mandatory) mandatory.add(instanceKey(binding));
  for (const binding of state.bindings.values()) {
    checkScope(binding, state, routeOwners, problems);
    const { consumer } = binding.scope;
    if (hasConsumers && consumer !== undefined && !state.consumers.has(consumer)) {
      problems.push(problem('binding', binding.id, '/scope/consumer', 'NOT_FOUND', 'no such consumer'));
    }
    if (binding.effect === 'exclude' && mandatory.has(instanceKey(binding))) {
      const message = `expected apply: ${binding.plugin} is mandatory`;
      problems.push(problem('binding', binding.id, '/effect', 'INVALID', message));
    }
    // It would win over the mandatory one, and where it does not match neither would run: an exclude by another name.
    if (binding.when !== undefined && !binding.mandatory && mandatory.has(instanceKey(binding))) {
      const message = `expected none: ${binding.plugin} is mandatory and must run on every request`;
      problems.push(problem('binding', binding.id, '/when', 'INVALID', message));
    }
    if (good.has(binding)) continue;
    const before = problems.length;
    checkBinding(binding, plugins, problems);
    if (problems.length === before) good.add(binding);
  }
}

/** Gives the api of each route; nothing when no binding asks: that spares a walk over all routes at every change. */
function findRouteOwners(state: DocumentState): ReadonlyMap<string, string> {
  const owners = new Map<string, string>();
  const isNeeded = [...state.bindings.values()].some(({ scope }) => scope.route !== undefined);
  if (!isNeeded) return owners;
  for (const api of state.apis.values()) for (const route of api.routes) owners.set(route.id, api.id);
  return owners;
}

function instanceKey(binding: Binding): string {
  return `${binding.plugin}\n${binding.name ?? ''}`;
}

function checkScope(
  binding: Binding,
  state: DocumentState,
  routeOwners: ReadonlyMap<string, string>,
  problems: EntityProblem[],
): void {
  const { api, route, consumer, group } = binding.scope;
  const add = (part: string, code: string, message: string): void => {
    problems.push(problem('binding', binding.id, `/scope/${part}`, code, message));
  };
  if (api !== undefined && !state.apis.has(api)) add('api', 'NOT_FOUND', 'no such api');
  if (consumer !== undefined && group !== undefined)
    add('group', 'INVALID', 'expected a consumer or a group, not both');
  if (route === undefined) return;
  const owner = routeOwners.get(route);
  if (owner === undefined) add('route', 'NOT_FOUND', 'no such route');
  else if (api !== undefined && owner !== api) add('route', 'INVALID', 'expected a route of the api in this scope');
}

function checkBinding(binding: Binding, plugins: InstalledPlugins, problems: EntityProblem[]): void {
  const add = (pointer: string, code: string, message: string): void => {
    problems.push(problem('binding', binding.id, pointer, code, message));
  };
  const plugin = plugins.get(binding.plugin);
  if (!plugin) {
    add('/plugin', 'NOT_FOUND', `no plugin named ${binding.plugin} is installed`);
    return;
  }
  for (const part of listScopeParts(binding.scope)) {
    if (!plugin.manifest.scopes.includes(part)) {
      add(part === 'global' ? '/scope' : `/scope/${part}`, 'INVALID', `${binding.plugin} cannot be bound by ${part}`);
    }
  }
  const isGlobal = Object.keys(binding.scope).length === 0;
  if (binding.mandatory && (!isGlobal || binding.effect === 'exclude')) {
    add('/mandatory', 'INVALID', 'expected only on a global binding with effect apply');
  }
  if (binding.effect === 'exclude') {
    if (isGlobal) add('/effect', 'INVALID', 'expected a scope: excluding everywhere is the same as no binding');
    return;
  }
  checkPaths('binding', binding.id, '/when', binding.when?.paths ?? [], problems);
  const { methods = [], paths = [], headers = {}, query = {} } = binding.when ?? {};
  const declared = methods.length + paths.length + Object.keys(headers).length + Object.keys(query).length;
  if (binding.when !== undefined && declared === 0)
    add('/when', 'INVALID', 'expected at least one of methods, paths, headers, query; leave it out to run always');
  const read = readPluginConfig(plugin, binding.config);
  if (!read.ok) for (const fault of read.problems) add(`/config${fault.pointer}`, fault.code, fault.message);
}

function listScopeParts(scope: Scope): readonly ('global' | 'api' | 'route' | 'consumer' | 'group')[] {
  const parts = (['api', 'route', 'consumer', 'group'] as const).filter((part) => scope[part] !== undefined);
  return parts.length === 0 ? ['global'] : parts;
}
