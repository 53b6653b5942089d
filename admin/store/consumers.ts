// Writes consumers with their groups, and credentials.
// Must not see a secret in clear: credentials arrive hashed or sealed.
import type { Knex } from 'knex';
import type { Consumer, Credential } from '../../gateway/core/model.ts';
import { writeIds, writeRows } from './rows.ts';

const UPSERT_CONSUMERS = `
  INSERT INTO consumers (id, username, custom_id, tags, created_at, updated_at)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, username text, custom_id text, tags text[],
    created_at timestamptz, updated_at timestamptz)
  ON CONFLICT (id) DO UPDATE SET username = excluded.username, custom_id = excluded.custom_id, tags = excluded.tags,
    updated_at = excluded.updated_at`;

const INSERT_GROUPS = `
  INSERT INTO groups (name) SELECT DISTINCT name FROM jsonb_to_recordset(?::jsonb) AS r (name text)
  ON CONFLICT DO NOTHING`;

const INSERT_MEMBERS = `
  INSERT INTO consumer_groups (consumer_id, group_name)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (consumer_id uuid, group_name text)`;

const INSERT_CREDENTIALS = `
  INSERT INTO credentials (id, consumer_id, type, lookup, data, tags, created_at, updated_at)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, consumer_id uuid, type text, lookup text, data jsonb,
    tags text[], created_at timestamptz, updated_at timestamptz)`;

/** Deletes consumers. */
export async function deleteConsumers(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'DELETE FROM consumers WHERE id = ANY (?::uuid[])', ids);
}

/** Makes the groups that are named for the first time. */
export async function writeGroups(transaction: Knex.Transaction, names: readonly string[]): Promise<void> {
  await writeRows(
    transaction,
    INSERT_GROUPS,
    [...new Set(names)].map((name) => ({ name })),
  );
}

/** Writes consumers whole, with their memberships; the groups are there. */
export async function writeConsumers(transaction: Knex.Transaction, consumers: readonly Consumer[]): Promise<void> {
  const ids = consumers.map((consumer) => consumer.id);
  // Both are unique at every moment: clear the way first, so that two may swap theirs.
  const release = 'UPDATE consumers SET username = id::text, custom_id = NULL WHERE id = ANY (?::uuid[])';
  await writeIds(transaction, release, ids);
  await writeRows(
    transaction,
    UPSERT_CONSUMERS,
    consumers.map(({ id, username, customId, tags, createdAt, updatedAt }) => ({
      id,
      username,
      custom_id: customId ?? null,
      tags,
      created_at: createdAt,
      updated_at: updatedAt,
    })),
  );
  await writeIds(transaction, 'DELETE FROM consumer_groups WHERE consumer_id = ANY (?::uuid[])', ids);
  await writeRows(
    transaction,
    INSERT_MEMBERS,
    consumers.flatMap(({ id, groups }) => groups.map((name) => ({ consumer_id: id, group_name: name }))),
  );
}

/** Deletes credentials. */
export async function deleteCredentials(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'DELETE FROM credentials WHERE id = ANY (?::uuid[])', ids);
}

/** Writes new rows of credentials; changed ones were deleted before, so that two may swap their lookup. */
export async function insertCredentials(
  transaction: Knex.Transaction,
  credentials: readonly Credential[],
): Promise<void> {
  await writeRows(
    transaction,
    INSERT_CREDENTIALS,
    credentials.map(({ id, consumerId, type, lookup, data, tags, createdAt, updatedAt }) => ({
      id,
      consumer_id: consumerId,
      type,
      lookup,
      data,
      tags,
      created_at: createdAt,
      updated_at: updatedAt,
    })),
  );
}
