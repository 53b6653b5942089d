// Writes bindings.
// Must not decide what is valid.
import type { Knex } from 'knex';
import type { Binding } from '../../gateway/core/model.ts';
import { writeIds, writeRows } from './rows.ts';

const INSERT_BINDINGS = `
  INSERT INTO bindings (id, plugin, name, api_id, route_id, consumer_id, group_name, config, enabled, sort_order,
    condition, effect, mandatory, tags, created_at, updated_at)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, plugin text, name text, api_id uuid, route_id uuid,
    consumer_id uuid, group_name text, config jsonb, enabled boolean, sort_order integer, condition jsonb, effect text,
    mandatory boolean, tags text[], created_at timestamptz, updated_at timestamptz)`;

/** Deletes bindings. */
export async function deleteBindings(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'DELETE FROM bindings WHERE id = ANY (?::uuid[])', ids);
}

/** Writes new rows of bindings; changed ones were deleted before, so that two may swap their scope. */
export async function insertBindings(transaction: Knex.Transaction, bindings: readonly Binding[]): Promise<void> {
  await writeRows(transaction, INSERT_BINDINGS, bindings.map(toRow));
}

function toRow(binding: Binding): unknown {
  const { scope } = binding;
  return {
    id: binding.id,
    plugin: binding.plugin,
    name: binding.name ?? null,
    api_id: scope.api ?? null,
    route_id: scope.route ?? null,
    consumer_id: scope.consumer ?? null,
    group_name: scope.group ?? null,
    config: binding.config,
    enabled: binding.enabled,
    sort_order: binding.order,
    condition: binding.when ?? null,
    effect: binding.effect,
    mandatory: binding.mandatory,
    tags: binding.tags,
    created_at: binding.createdAt,
    updated_at: binding.updatedAt,
  };
}
