// Turns Kong's consumers and their groups into ours.
// Must not translate credentials: that is credentials.ts.
import type { ConsumerDraft } from '../draft.ts';
import { isName, NamePool } from '../names.ts';
import { asList, Fields, isRecord } from '../source.ts';
import { type KongImport, readTags, SERVER_SET } from './context.ts';
import { CREDENTIAL_SECTIONS, translateCredentials } from './credentials.ts';
import type { Entity } from './entities.ts';

const ID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Translates groups, consumers, who is in which group, and credentials. */
export function translateConsumers(kong: KongImport): void {
  const groups = kong.entities.of('consumer_groups');
  const groupPool = new NamePool(groups.map(({ value }) => String(value['name'])));
  for (const entity of groups) translateGroup(kong, entity, groupPool);

  const consumers = kong.entities.of('consumers');
  const pool = new NamePool(consumers.map(({ value }) => String(value['username'])));
  const members = findMembers(kong);
  for (const entity of consumers) translateConsumer(kong, entity, { pool, members });
}

function translateGroup(kong: KongImport, entity: Entity, pool: NamePool): void {
  const fields = new Fields(entity.value, entity.place);
  fields.skip(...SERVER_SET, 'consumers', 'plugins', 'tags');
  const given = fields.text('name');
  const name = pool.claim(given, 'group');
  if (name !== given) kong.draft.note(entity.place, `its name cannot stay; the group is called ${name}`);
  for (const key of fields.listUnasked()) kong.draft.note(entity.place, `there is no counterpart of ${key}`);
  kong.groups.set(entity, name);
}

/** Gives the groups of each consumer, as consumers, groups and the section between them say. */
function findMembers(kong: KongImport): ReadonlyMap<Entity, ReadonlySet<string>> {
  const members = new Map<Entity, Set<string>>();
  const put = (consumer: Entity | undefined, group: Entity | undefined, place: string): void => {
    const name = group === undefined ? undefined : kong.groups.get(group);
    if (consumer === undefined || name === undefined) {
      kong.draft.note(place, 'names a consumer or a group that is not in the file');
      return;
    }
    members.set(consumer, new Set([...(members.get(consumer) ?? []), name]));
  };
  const { entities } = kong;
  for (const consumer of entities.of('consumers')) {
    for (const ref of asList(consumer.value['groups'], `${consumer.place}.groups`)) {
      put(consumer, entities.find('consumer_groups', ref), consumer.place);
    }
  }
  for (const group of entities.of('consumer_groups')) {
    for (const ref of asList(group.value['consumers'], `${group.place}.consumers`)) {
      put(entities.find('consumers', ref), group, group.place);
    }
  }
  for (const { parents, place } of entities.of('consumer_group_consumers')) {
    put(parents.consumer, parents.consumer_group, place);
  }
  return members;
}

interface Setting {
  readonly pool: NamePool;
  readonly members: ReadonlyMap<Entity, ReadonlySet<string>>;
}

function translateConsumer(kong: KongImport, entity: Entity, { pool, members }: Setting): void {
  const { draft } = kong;
  const fields = new Fields(entity.value, entity.place);
  fields.skip('created_at', 'updated_at', 'ws_id', 'groups', 'plugins', 'tags', 'type', ...CREDENTIAL_SECTIONS);
  const given = fields.text('username');
  const customId = fields.text('custom_id');
  const username = pool.claim(given ?? customId, 'consumer');
  if (given !== username) {
    draft.note(
      entity.place,
      `is called ${username} here, also in X-Consumer-Username; its own name has no form that names have`,
    );
  }
  const id = fields.text('id');
  for (const key of fields.listUnasked()) draft.note(entity.place, `there is no counterpart of ${key}`);
  const groups = [...new Set([...(members.get(entity) ?? []), ...readAclGroups(kong, entity)])].sort();
  const value = {
    // Upstreams know consumers by it.
    ...(id !== undefined && ID.test(id) ? { id } : {}),
    username,
    ...(customId === undefined ? {} : { customId }),
    ...(groups.length > 0 ? { groups } : {}),
    ...readTags(kong, entity),
  };
  const consumer: ConsumerDraft = { place: entity.place, username, value, credentials: [] };
  draft.consumers.push(consumer);
  kong.consumers.set(entity, consumer);
  translateCredentials(kong, entity, consumer);
}

/** Gives the groups of the acl plugin. One that has the name of a consumer group would get what is meant for that. */
function readAclGroups(kong: KongImport, consumer: Entity): readonly string[] {
  const taken = new Set(kong.groups.values());
  const acls = kong.entities.below(consumer, 'acls');
  return acls.flatMap(({ value, place }) => {
    const group = isRecord(value) ? String(value['group']) : '';
    if (isName(group) && !taken.has(group)) return [group];
    const reason = isName(group) ? 'a consumer group has the same name' : 'it has no form that names have';
    kong.draft.note(place, `the group ${group} is left out: ${reason}`);
    return [];
  });
}
