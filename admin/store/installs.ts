// Writes installs.
// Must not see a secret in clear: secrets arrive sealed.
import type { Knex } from 'knex';
import type { Install } from '../../gateway/core/model.ts';
import { writeIds, writeRows } from './rows.ts';

const INSERT_INSTALLS = `
  INSERT INTO installs (id, plugin, version, sha256, granted, manifest, config_schema, tier, sealed_secrets, previous, canary, shadow,
    tags,
    created_at, updated_at)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, plugin text, version text, sha256 text, granted jsonb,
    manifest jsonb, config_schema jsonb, tier text, sealed_secrets jsonb, previous jsonb, canary jsonb, shadow jsonb, tags text[],
    created_at timestamptz, updated_at timestamptz)`;

/** Deletes installs. */
export async function deleteInstalls(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'DELETE FROM installs WHERE id = ANY (?::uuid[])', ids);
}

/** Writes new rows of installs; changed ones were deleted before. */
export async function insertInstalls(transaction: Knex.Transaction, installs: readonly Install[]): Promise<void> {
  await writeRows(transaction, INSERT_INSTALLS, installs.map(toRow));
}

function toRow(install: Install): unknown {
  const {
    configSchema,
    secrets,
    previous = null,
    canary = null,
    shadow = null,
    createdAt,
    updatedAt,
    ...rest
  } = install;
  return {
    ...rest,
    config_schema: configSchema,
    sealed_secrets: secrets,
    previous,
    canary,
    shadow,
    created_at: createdAt,
    updated_at: updatedAt,
  };
}
