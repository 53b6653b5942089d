// Makes bindings of what a body says: names in the scope become ids, the plugin's defaults are filled in.
// Must not judge uniqueness and scopes: that is core/check.ts.
import { readPluginConfig } from '../../gateway/core/config.ts';
import type { PluginFinder } from '../../gateway/core/document/installs.ts';
import type { Api, Binding, Scope } from '../../gateway/core/model.ts';
import { invalid, invalidField } from '../errors.ts';
import { toEntity } from './apis.ts';
import { type Input, isId } from './read.ts';

/** Finds what a scope names. */
export interface ScopeFinder {
  findApi(ref: string): Api | undefined;
  findConsumer(ref: string): { readonly id: string } | undefined;
  /** Finds the api that has the route with this id; all apis with a route of this name when it is no id. */
  findRouteOwners(ref: string): readonly Api[];
}

/** Makes a binding. @throws CONFIG_INVALID */
export function toBinding(
  input: Input,
  existing: Binding | undefined,
  finder: ScopeFinder,
  plugins: PluginFinder,
): Binding {
  const plugin = plugins.get(String(input['plugin']));
  if (plugin === undefined) throw invalidField('/plugin', `no plugin named ${String(input['plugin'])} is installed`);
  const scope = resolveScope(input['scope'] as Scope, finder);
  return toEntity<'binding'>({ ...input, scope, config: readConfig() }, existing);

  function readConfig(): unknown {
    if (input['effect'] === 'exclude' || plugin === undefined) return input['config'];
    const read = readPluginConfig(plugin, input['config']);
    if (read.ok) return read.value;
    throw invalid(read.problems.map((problem) => ({ ...problem, pointer: `/config${problem.pointer}` })));
  }
}

/** Replaces names by ids. A route belongs to one api, so naming the api beside it only helps to find it. */
function resolveScope(scope: Scope, finder: ScopeFinder): Scope {
  const api = scope.api === undefined ? undefined : finder.findApi(scope.api);
  if (scope.api !== undefined && api === undefined) throw invalidField('/scope/api', `no api ${scope.api}`);
  const consumer = scope.consumer === undefined ? undefined : finder.findConsumer(scope.consumer);
  if (scope.consumer !== undefined && consumer === undefined) {
    throw invalidField('/scope/consumer', `no consumer ${scope.consumer}`);
  }
  const route = scope.route === undefined ? undefined : resolveRoute(scope.route, api, finder);
  return {
    ...(api !== undefined && route === undefined ? { api: api.id } : {}),
    ...(route === undefined ? {} : { route }),
    ...(consumer === undefined ? {} : { consumer: consumer.id }),
    ...(scope.group === undefined ? {} : { group: scope.group }),
  };
}

function resolveRoute(ref: string, api: Api | undefined, finder: ScopeFinder): string {
  const owners = api === undefined ? finder.findRouteOwners(ref) : [api];
  const ids = owners.flatMap((owner) => owner.routes.filter((route) => (isId(ref) ? route.id : route.name) === ref));
  const [route] = ids;
  if (route === undefined)
    throw invalidField('/scope/route', `no route ${ref}${api === undefined ? '' : ` in ${api.name}`}`);
  if (ids.length > 1) throw invalidField('/scope/route', `several apis have a route ${ref}; name the api too`);
  return route.id;
}
