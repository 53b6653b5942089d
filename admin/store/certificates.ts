// Writes certificates.
// Must not see a private key in clear: keys arrive sealed.
import type { Knex } from 'knex';
import type { Certificate } from '../../gateway/core/model.ts';
import { writeIds, writeRows } from './rows.ts';

const INSERT_CERTIFICATES = `
  INSERT INTO certificates (id, name, hosts, certificate, sealed_key, tags, created_at, updated_at)
  SELECT * FROM jsonb_to_recordset(?::jsonb) AS r (id uuid, name text, hosts text[], certificate text, sealed_key text,
    tags text[], created_at timestamptz, updated_at timestamptz)`;

/** Deletes certificates. */
export async function deleteCertificates(transaction: Knex.Transaction, ids: readonly string[]): Promise<void> {
  await writeIds(transaction, 'DELETE FROM certificates WHERE id = ANY (?::uuid[])', ids);
}

/** Writes new rows of certificates; changed ones were deleted before, so that two may swap their names. */
export async function insertCertificates(
  transaction: Knex.Transaction,
  certificates: readonly Certificate[],
): Promise<void> {
  await writeRows(
    transaction,
    INSERT_CERTIFICATES,
    certificates.map(({ id, name, hosts, certificate, privateKey, tags, createdAt, updatedAt }) => ({
      id,
      name,
      hosts,
      certificate,
      sealed_key: privateKey,
      tags,
      created_at: createdAt,
      updated_at: updatedAt,
    })),
  );
}
