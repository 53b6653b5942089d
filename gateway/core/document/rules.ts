// What the entities of each kind owe to others: values of their own, and references that lead somewhere.
// Must not walk a document: check.ts decides who is looked at.
import type { DocumentState } from '../config.ts';
import type { Binding, EntityKind, EntityOf } from '../model.ts';
import { installKey, type PluginFinder } from './installs.ts';
import { type AddFault, checkApi, checkBinding, checkCertificate, checkInstall, checkUpstream } from './own-checks.ts';

/** Is a value that no other entity may hold. */
export interface UniqueValue {
  /** Tells it from every other value of the document. */
  readonly key: string;
  readonly pointer: string;
  readonly message: string;
}

/** Is the document around an entity. */
export interface Surroundings {
  readonly state: DocumentState;
  /** Gives the id of the entity that holds a unique value. */
  readonly holders: Pick<ReadonlyMap<string, string>, 'get'>;
  /** Finds plugins in folders, and installs. */
  readonly plugins: PluginFinder;
  /** False where identities are looked up instead of held: on nodes. */
  readonly hasConsumers: boolean;
}

/** Is what the entities of one kind must keep to. */
export interface KindRules<Entity> {
  listUnique(entity: Entity): readonly UniqueValue[];
  /** Checks what depends on the entity alone, and on the plugins. */
  checkOwn(entity: Entity, around: Surroundings, add: AddFault): void;
  /** Checks what depends on others. Must look up, not search: it runs for every entity of the kind. */
  checkReferences(entity: Entity, around: Surroundings, add: AddFault): void;
  /** Names the kinds that the references lead to. */
  readonly refersTo: readonly EntityKind[];
  /** Says whether a change may break references of others to this entity. */
  isLoss(before: Entity | undefined, after: Entity | undefined): boolean;
}

const NOTHING = (): void => undefined;

/** Holds the rules of every kind. */
export const RULES: { readonly [Kind in EntityKind]: KindRules<EntityOf[Kind]> } = {
  certificate: {
    listUnique: ({ name, hosts }) => [
      unique('certificate', '/name', name),
      // Who asked for a host that two of them claim would get either.
      ...hosts.map((host, index) => ({
        key: `certificate host ${host}`,
        pointer: `/hosts/${index}`,
        message: `expected a host that no other certificate has; another has ${host}`,
      })),
    ],
    checkOwn: (certificate, _, add) => checkCertificate(certificate, add),
    checkReferences: NOTHING,
    refersTo: [],
    isLoss: (before, after) => before !== undefined && before.name !== after?.name,
  },
  upstream: {
    listUnique: ({ name }) => [unique('upstream', '/name', name)],
    checkOwn: (upstream, _, add) => checkUpstream(upstream, add),
    checkReferences({ tls }, { holders }, add) {
      const shown = tls.clientCertificate?.name;
      if (shown === undefined || holders.get(unique('certificate', '/name', shown).key) !== undefined) return;
      add('/tls/clientCertificate/name', 'NOT_FOUND', `no certificate named ${shown}`);
    },
    refersTo: ['certificate'],
    isLoss: (before, after) => before !== undefined && before.name !== after?.name,
  },
  api: {
    listUnique: ({ name, routes }) => [
      unique('api', '/name', name),
      ...routes.map(({ id }, index) => ({
        key: routeKey(id),
        pointer: `/routes/${index}/id`,
        message: 'expected an id that no other route has',
      })),
    ],
    checkOwn: (api, _, add) => checkApi(api, add),
    checkReferences({ upstream }, { holders }, add) {
      if (typeof upstream === 'string' || holders.get(unique('upstream', '/name', upstream.name).key) !== undefined)
        return;
      add('/upstream/name', 'NOT_FOUND', `no upstream named ${upstream.name}`);
    },
    refersTo: ['upstream'],
    isLoss(before, after) {
      if (before === undefined) return false;
      const kept = new Set(after?.routes.map(({ id }) => id));
      return after === undefined || before.routes.some(({ id }) => !kept.has(id));
    },
  },
  consumer: {
    listUnique: ({ username, customId }) => [
      unique('consumer', '/username', username),
      ...(customId === undefined ? [] : [unique('consumer', '/customId', customId)]),
    ],
    checkOwn: NOTHING,
    checkReferences: NOTHING,
    refersTo: [],
    isLoss: (before, after) => before !== undefined && after === undefined,
  },
  credential: {
    listUnique: ({ type, lookup }) => [
      { key: `credential ${type} ${lookup}`, pointer: '', message: 'this credential is already in use' },
    ],
    checkOwn: NOTHING,
    checkReferences({ consumerId }, { state }, add) {
      if (!state.consumers.has(consumerId)) add('/consumerId', 'NOT_FOUND', 'no such consumer');
    },
    refersTo: ['consumer'],
    isLoss: () => false,
  },
  install: {
    listUnique: ({ plugin }) => [
      { key: installKey(plugin), pointer: '/plugin', message: `expected a plugin that is not installed yet` },
    ],
    // On a node a pin that does not fit its package harms the plugin, when it loads, and never the revision.
    checkOwn: (install, { hasConsumers }, add) => (hasConsumers ? checkInstall(install, add) : undefined),
    checkReferences: NOTHING,
    refersTo: [],
    // Bindings count as touched with the install that they depend on (installs.ts).
    isLoss: () => false,
  },
  binding: {
    listUnique: (binding) => [
      {
        key: `binding ${bindingKey(binding)}`,
        pointer: '/scope',
        message: 'this plugin is already bound in this scope; give the binding a name to run it twice',
      },
    ],
    checkOwn: (binding, { plugins, hasConsumers }, add) =>
      checkBinding(binding, { plugin: plugins.get(binding.plugin), isOnNode: !hasConsumers }, add),
    checkReferences(binding, around, add) {
      checkScope(binding, around, add);
      checkMandatory(binding, around, add);
    },
    refersTo: ['api', 'consumer', 'binding'],
    // A plugin that becomes mandatory takes away the right to exclude it.
    isLoss: (before, after) => after?.mandatory === true && before?.mandatory !== true,
  },
};

function unique(kind: EntityKind, pointer: string, value: string): UniqueValue {
  const message = `expected a value that no other ${kind} has in ${pointer}`;
  return { key: `${kind} ${pointer} ${value}`, pointer, message };
}

/** Gives the key under which an api holds the id of a route. */
export function routeKey(id: string): string {
  return `route ${id}`;
}

/** Gives the key that is unique among bindings: plugin, instance name and scope. */
export function bindingKey(binding: Pick<Binding, 'plugin' | 'name' | 'scope'>): string {
  const { api = '', route = '', consumer = '', group = '' } = binding.scope;
  return [binding.plugin, binding.name ?? '', api, route, consumer, group].join('\n');
}

function checkScope({ scope }: Binding, { state, holders, hasConsumers }: Surroundings, add: AddFault): void {
  const { api, route, consumer, group } = scope;
  if (api !== undefined && !state.apis.has(api)) add('/scope/api', 'NOT_FOUND', 'no such api');
  if (consumer !== undefined && group !== undefined)
    add('/scope/group', 'INVALID', 'expected a consumer or a group, not both');
  if (hasConsumers && consumer !== undefined && !state.consumers.has(consumer))
    add('/scope/consumer', 'NOT_FOUND', 'no such consumer');
  if (route === undefined) return;
  const owner = holders.get(routeKey(route));
  if (owner === undefined) add('/scope/route', 'NOT_FOUND', 'no such route');
  else if (api !== undefined && owner !== api)
    add('/scope/route', 'INVALID', 'expected a route of the api in this scope');
}

function checkMandatory(binding: Binding, { state, holders }: Surroundings, add: AddFault): void {
  const { plugin, name, effect, when } = binding;
  const globalId = holders.get(`binding ${bindingKey({ plugin, ...(name === undefined ? {} : { name }), scope: {} })}`);
  if (globalId === undefined || state.bindings.get(globalId)?.mandatory !== true) return;
  if (effect === 'exclude') add('/effect', 'INVALID', `expected apply: ${plugin} is mandatory`);
  // It would win over the mandatory one, and where it does not match neither would run: an exclude by another name.
  if (when !== undefined && !binding.mandatory)
    add('/when', 'INVALID', `expected none: ${plugin} is mandatory and must run on every request`);
}
