// Shows the whole configuration as one document that can be written again, on this installation or another.
// Must not read anything but the state it is given.
import type { DocumentState } from '../../gateway/core/config.ts';
import type { Api, Binding, Consumer, Credential, Route } from '../../gateway/core/model.ts';
import { exportCertificate } from './certificates.ts';
import { exportCredential, showCredential } from './credentials.ts';
import { exportInstall } from './installs.ts';
import type { Input } from './read.ts';

/** Says what an export holds. */
export interface ExportOptions {
  /** Keeps the ids, so that what refers to them from outside goes on doing so. */
  readonly hasIds: boolean;
  /** Keeps hashes and sealed secrets; without them the document cannot be written again where their owners are new. */
  readonly hasSecrets: boolean;
}

/** Is the configuration as one document. */
export interface ConfigDocument {
  readonly certificates: readonly Input[];
  readonly upstreams: readonly Input[];
  readonly apis: readonly Input[];
  readonly consumers: readonly Input[];
  readonly installs: readonly Input[];
  readonly bindings: readonly Input[];
}

/** Builds the document: references by name, order by name, so that equal configurations give equal documents. */
export function exportDocument(state: DocumentState, options: ExportOptions): ConfigDocument {
  const byName = <T>(items: Iterable<T>, nameOf: (item: T) => string): T[] =>
    [...items]
      .map((item) => ({ item, name: nameOf(item) }))
      .sort((a, b) => compare(a.name, b.name))
      .map(({ item }) => item);
  const boundRoutes = new Set([...state.bindings.values()].flatMap(({ scope }) => scope.route ?? []));
  const routeOwners = new Map<string, { readonly api: Api; readonly route: Route }>();
  for (const api of state.apis.values()) for (const route of api.routes) routeOwners.set(route.id, { api, route });
  const credentials = new Map<string, Credential[]>();
  for (const credential of state.credentials.values()) {
    const own = credentials.get(credential.consumerId);
    if (own === undefined) credentials.set(credential.consumerId, [credential]);
    else own.push(credential);
  }

  const showApi = (api: Api): Input => {
    // A route without a name that a binding refers to keeps its id: there is no other way to say which it is.
    const keepsId = (route: Route): boolean =>
      options.hasIds || (route.name === undefined && boundRoutes.has(route.id));
    return { ...strip(api, options), routes: api.routes.map((route) => (keepsId(route) ? route : withoutId(route))) };
  };
  const showConsumer = (consumer: Consumer): Input => {
    const own = byName(credentials.get(consumer.id) ?? [], (one) => `${one.type} ${one.lookup}`);
    const shown = own.map((one) => strip(options.hasSecrets ? exportCredential(one) : showCredential(one), options));
    return { ...strip(consumer, options), credentials: shown };
  };
  const showBinding = (binding: Binding): Input => ({ ...strip(binding, options), scope: showScope(binding) });
  const showScope = ({ scope }: Binding): Input => {
    const owner = scope.route === undefined ? undefined : routeOwners.get(scope.route);
    const api = owner?.api ?? (scope.api === undefined ? undefined : state.apis.get(scope.api));
    const consumer = scope.consumer === undefined ? undefined : state.consumers.get(scope.consumer);
    return {
      ...(api === undefined ? {} : { api: api.name }),
      ...(owner === undefined ? {} : { route: owner.route.name ?? owner.route.id }),
      ...(consumer === undefined ? {} : { consumer: consumer.username }),
      ...(scope.group === undefined ? {} : { group: scope.group }),
    };
  };
  const bindingName = (binding: Binding): string => {
    const { api = '', route = '', consumer = '', group = '' } = showScope(binding);
    return [binding.plugin, binding.name ?? '', api, route, consumer, group].join('\n');
  };
  return {
    certificates: byName(state.certificates.values(), (certificate) => certificate.name).map((one) =>
      strip(exportCertificate(one, options.hasSecrets), options),
    ),
    upstreams: byName(state.upstreams.values(), (upstream) => upstream.name).map((one) => strip(one, options)),
    apis: byName(state.apis.values(), (api) => api.name).map(showApi),
    consumers: byName(state.consumers.values(), (consumer) => consumer.username).map(showConsumer),
    installs: byName(state.installs.values(), (install) => install.plugin).map((one) =>
      strip(exportInstall(one, options.hasSecrets), options),
    ),
    bindings: byName(state.bindings.values(), bindingName).map(showBinding),
  };
}

function strip(entity: object, { hasIds }: ExportOptions): Input {
  // Times would make two exports of one configuration differ.
  const { createdAt: _created, updatedAt: _updated, ...content } = entity as Input;
  return hasIds ? content : withoutId(content);
}

function withoutId(entity: object): Input {
  const { id: _id, ...content } = entity as Input;
  return content;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
