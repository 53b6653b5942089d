// Certificates with their sealed keys, and what an api wants to know of who connects.
import type { Knex } from 'knex';

/** Creates the table and the column. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE certificates (
      id uuid PRIMARY KEY,
      name text NOT NULL UNIQUE,
      hosts text[] NOT NULL,
      certificate text NOT NULL,
      sealed_key text NOT NULL,
      tags text[] NOT NULL DEFAULT '{}',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE apis ADD COLUMN client_certificate jsonb;
  `);
}

/** Drops both. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE apis DROP COLUMN client_certificate; DROP TABLE certificates;');
}
