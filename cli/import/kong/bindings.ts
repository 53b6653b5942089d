// Turns Kong's plugins into bindings. One that cannot be translated exactly turns off whatever it guards.
// Must not know a plugin: that is plugins/.
import type { ApiDraft, ConsumerDraft } from '../draft.ts';
import { asRecord, Fields, type Source } from '../source.ts';
import { type KongImport, readTags, SERVER_SET } from './context.ts';
import type { Entity } from './entities.ts';
import { ONLOOKERS, TRANSLATORS } from './plugins/table.ts';
import type { PluginCall } from './plugins/translator.ts';
import { hasReference } from './references.ts';

/** Is where a binding holds, and whom it guards there. */
interface Place {
  readonly scope: Record<string, string>;
  readonly bound: PluginCall['bound'];
  readonly routeCount: number;
  readonly apis: readonly ApiDraft[];
  /** Whose credentials go when it cannot be translated; empty when the apis go off in their place. */
  readonly consumers: readonly ConsumerDraft[];
}

/** Translates every plugin. */
export function translatePlugins(kong: KongImport): void {
  for (const entity of kong.entities.of('plugins')) translatePlugin(kong, entity);
}

function translatePlugin(kong: KongImport, entity: Entity): void {
  const fields = new Fields(entity.value, entity.place);
  fields.skip(...SERVER_SET, 'service', 'route', 'consumer', 'consumer_group', 'tags', 'instance_name', 'run_on');
  const name = fields.text('name') ?? '';
  const isEnabled = fields.flag('enabled') ?? true;
  if (entity.missing.length > 0) {
    kong.draft.note(entity.place, `left out: it names a ${entity.missing.join(' and a ')} that is not in the file`);
    return;
  }
  const place = findPlace(kong, entity);
  if (place === undefined) return;
  const troubles: string[] = [];
  const notes: string[] = [];
  const config = translateConfig(entity, { name, place, fields, shared: kong.sharedConfigs, troubles, notes });
  checkOwn(kong, entity, fields, troubles);
  for (const note of notes) kong.draft.note(entity.place, note);
  if (!isEnabled && (config === undefined || troubles.length > 0)) {
    kong.draft.note(entity.place, `left out: ${name} was off, and cannot be translated: ${troubles[0]}`);
    return;
  }
  if (ONLOOKERS.has(name)) for (const trouble of troubles) kong.draft.note(entity.place, trouble);
  else for (const trouble of troubles) turnOff(kong, entity, place, trouble);
  if (isEnabled) markBound(kong, entity);
  if (config === undefined) return;
  const enabled = isEnabled ? {} : { enabled: false };
  const value = { plugin: name, scope: place.scope, config, ...enabled, ...readTags(kong, entity) };
  const guarded = isEnabled && !ONLOOKERS.has(name);
  const { apis, consumers } = guarded ? place : { apis: [], consumers: [] };
  kong.draft.bindings.push({ place: entity.place, value, apis, consumers });
}

function turnOff({ draft }: KongImport, entity: Entity, { apis, consumers }: Place, trouble: string): void {
  if (consumers.length > 0) draft.silence(consumers, entity.place, trouble);
  else draft.switchOff(apis, entity.place, trouble);
}

interface ConfigCall {
  readonly name: string;
  readonly place: Place;
  readonly fields: Fields;
  readonly shared: Source;
  readonly troubles: string[];
  readonly notes: string[];
}

function translateConfig(entity: Entity, call: ConfigCall): Record<string, unknown> | undefined {
  const { name, place, fields, shared, troubles, notes } = call;
  const sharedName = fields.text('_config');
  const common = sharedName === undefined ? {} : asRecord(shared[sharedName], `_plugin_configs.${sharedName}`);
  const given = { ...common, ...asRecord(fields.get('config') ?? {}, `${entity.place}.config`) };
  const translate = TRANSLATORS.get(name);
  if (translate === undefined) {
    const what = ONLOOKERS.has(name) ? 'nothing is logged or measured that way' : 'find another way to do what it does';
    troubles.push(`there is no counterpart of the plugin ${name}; ${what}`);
    return undefined;
  }
  if (hasReference(given)) {
    troubles.push(`${name}: its configuration is in a vault`);
    return undefined;
  }
  const options = new Fields(given, `${entity.place}.config`);
  const config = translate({
    options,
    bound: place.bound,
    routeCount: place.routeCount,
    trouble: (message) => void troubles.push(`${name}, ${message}`),
    tell: (message) => void notes.push(`${name}, ${message}`),
  });
  for (const key of options.listUnasked()) troubles.push(`${name}, ${key}: there is no counterpart of this option`);
  return config;
}

/** Reports what Kong says of any plugin and we do not. */
function checkOwn(kong: KongImport, entity: Entity, fields: Fields, troubles: string[]): void {
  const protocols = fields.texts('protocols') ?? ['http', 'https'];
  if (!protocols.includes('http') || !protocols.includes('https')) {
    troubles.push(`it runs for ${protocols.join(', ')} alone, and plugins here run for every protocol`);
  }
  const { service, route } = entity.parents;
  if (service !== undefined && route !== undefined) {
    const isRival = ({ value, parents }: Entity): boolean =>
      value['name'] === entity.value['name'] &&
      parents.service === undefined &&
      parents.route === undefined &&
      (parents.consumer !== undefined || parents.consumer_group !== undefined);
    if (kong.entities.of('plugins').some(isRival)) {
      troubles.push(
        'Kong puts it before the same plugin of a consumer, for it names service and route; here the other one wins',
      );
    }
  }
  for (const key of fields.listUnasked()) troubles.push(`there is no counterpart of ${key}`);
}

/** Finds where a plugin holds; undefined when that was left out, or nothing ever comes there. */
function findPlace(kong: KongImport, { parents, place }: Entity): Place | undefined {
  const { service, route, consumer, consumer_group: group } = parents;
  if (route !== undefined && service !== undefined && route.parents.service !== service) {
    kong.draft.note(place, 'left out: its route is not of its service, so it never runs');
    return undefined;
  }
  const placed = route === undefined ? undefined : kong.routes.get(route);
  const api = placed?.api ?? (service === undefined ? undefined : kong.apis.get(service));
  const isGone = api !== undefined && !kong.draft.apis.includes(api);
  if (isGone || (placed !== undefined && !placed.api.routes.includes(placed.route))) return undefined;
  const caller = consumer === undefined ? undefined : kong.consumers.get(consumer);
  const groupName = group === undefined ? undefined : kong.groups.get(group);
  const scope = {
    ...(api === undefined ? {} : { api: api.name }),
    ...(placed === undefined ? {} : { route: placed.route.name }),
    ...(caller === undefined ? {} : { consumer: caller.username }),
    ...(groupName === undefined ? {} : { group: groupName }),
  };
  const bound = placed !== undefined ? 'route' : api !== undefined ? 'service' : 'nothing';
  const isOfCallers = caller !== undefined || groupName !== undefined;
  const apis = api !== undefined ? [api] : isOfCallers ? [] : kong.draft.apis;
  const consumers = api !== undefined ? [] : findCallers(kong, caller, groupName);
  return { scope, bound, routeCount: api?.routes.length ?? 0, apis, consumers };
}

function findCallers(
  { draft }: KongImport,
  caller: ConsumerDraft | undefined,
  group: string | undefined,
): readonly ConsumerDraft[] {
  if (caller !== undefined) return [caller];
  if (group === undefined) return [];
  const isIn = ({ value: { groups } }: ConsumerDraft): boolean => Array.isArray(groups) && groups.includes(group);
  return draft.consumers.filter(isIn);
}

function markBound(kong: KongImport, { parents: { route } }: Entity): void {
  const placed = route === undefined ? undefined : kong.routes.get(route);
  if (placed !== undefined) placed.route.isBound = true;
}
