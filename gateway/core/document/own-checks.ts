// Checks one entity by itself, beyond what its schema says: URLs, paths, regular expressions, TLS, plugin configurations.
// Must not look at other entities: that is rules.ts.
import { readPluginConfig } from '../config.ts';
import type { InstalledPlugin } from '../manifest.ts';
import type { Api, Binding, Certificate, Install, Scope, Upstream } from '../model.ts';
import { buildLinearRegExp } from '../routing/linear-regexp.ts';
import { readPath } from '../routing/path.ts';
import { findCertificateFaults } from '../tls/certificate.ts';
import { findPolicyFault, findUpstreamFault } from '../tls/check.ts';
import { toHttpUrl } from '../upstream/protocol.ts';
import { buildValidator } from '../validate.ts';

/** Takes a fault; the pointer is relative to the entity. */
export type AddFault = (pointer: string, code: string, message: string) => void;

/** Checks an upstream. */
export function checkUpstream(upstream: Upstream, add: AddFault): void {
  const fault = findUpstreamFault(upstream);
  if (fault) add(fault.pointer, fault.code, fault.message);
}

/** Checks a certificate. */
export function checkCertificate(certificate: Certificate, add: AddFault): void {
  for (const { pointer, code, message } of findCertificateFaults(certificate)) add(pointer, code, message);
}

/** Checks an api and its routes. */
export function checkApi(api: Api, add: AddFault): void {
  const policyFault = findPolicyFault(api);
  if (policyFault) add(policyFault.pointer, policyFault.code, policyFault.message);
  if (typeof api.upstream === 'string') {
    const message = findUrlFault(api.upstream);
    if (message) add('/upstream', 'INVALID', message);
  }
  const names = new Set<string>();
  for (const [index, route] of api.routes.entries()) {
    const pointer = `/routes/${index}`;
    if (route.name !== undefined && names.has(route.name)) {
      add(`${pointer}/name`, 'NOT_UNIQUE', 'another route of this api has this name');
    }
    if (route.name !== undefined) names.add(route.name);
    const declared = route.hosts.length + route.paths.length + route.methods.length;
    if (declared + Object.keys(route.headers).length + Object.keys(route.query).length === 0) {
      add(pointer, 'INVALID', 'expected at least one of hosts, paths, methods, headers, query');
    }
    checkPaths(pointer, route.paths, add);
  }
}

function findUrlFault(text: string): string | undefined {
  const httpUrl = toHttpUrl(text);
  const url = URL.canParse(httpUrl) ? new URL(httpUrl) : undefined;
  // A backslash is a slash to URL, and part of a name to whoever reads the text.
  if (!url || url.username || url.password || text.includes('\\')) {
    return 'expected a URL like http://host:port/base, without credentials';
  }
  if (url.port === '0') return 'expected a port from 1 to 65535';
  // A base path is joined with canonical paths, so it must be canonical itself.
  const base = httpUrl.replace(/^https?:\/\/[^/]*/, '');
  const fault = base === '' ? undefined : findPathFault(`=${base}`);
  return fault && `the base path: ${fault}`;
}

function checkPaths(pointer: string, paths: readonly string[], add: AddFault): void {
  for (const [index, path] of paths.entries()) {
    const message = findPathFault(path);
    if (message) add(`${pointer}/paths/${index}`, 'INVALID', message);
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

/** Checks an install: that its parts speak of the same version of the same plugin. */
export function checkInstall({ plugin, version, manifest, configSchema }: Install, add: AddFault): void {
  if (manifest.name !== plugin) add('/manifest/name', 'INVALID', `expected ${plugin}`);
  if (manifest.version !== version) add('/manifest/version', 'INVALID', `expected ${version}`);
  try {
    buildValidator(configSchema);
  } catch (error) {
    add('/configSchema', 'INVALID', error instanceof Error ? error.message : String(error));
  }
}

/** Says what a binding is checked against. */
export interface BindingContext {
  readonly plugin: InstalledPlugin | undefined;
  /** On a node the package itself, which is verified there, says how an installed plugin is configured. */
  readonly isOnNode: boolean;
}

/** Checks a binding against the plugin it puts to work. */
export function checkBinding(binding: Binding, { plugin, isOnNode }: BindingContext, add: AddFault): void {
  if (!plugin) {
    add('/plugin', 'NOT_FOUND', `no plugin named ${binding.plugin} is installed`);
    return;
  }
  const isPackage = isOnNode && binding.plugin.includes('/');
  for (const part of listScopeParts(binding.scope)) {
    if (!isPackage && !plugin.manifest.scopes.includes(part)) {
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
  checkPaths('/when', binding.when?.paths ?? [], add);
  const { methods = [], paths = [], headers = {}, query = {} } = binding.when ?? {};
  const declared = methods.length + paths.length + Object.keys(headers).length + Object.keys(query).length;
  if (binding.when !== undefined && declared === 0)
    add('/when', 'INVALID', 'expected at least one of methods, paths, headers, query; leave it out to run always');
  if (isPackage) return;
  const read = readPluginConfig(plugin, binding.config);
  if (!read.ok) for (const fault of read.problems) add(`/config${fault.pointer}`, fault.code, fault.message);
}

function listScopeParts(scope: Scope): readonly ('global' | 'api' | 'route' | 'consumer' | 'group')[] {
  const parts = (['api', 'route', 'consumer', 'group'] as const).filter((part) => scope[part] !== undefined);
  return parts.length === 0 ? ['global'] : parts;
}
