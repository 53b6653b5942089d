// Plugins of the marketplace that are installed, and what each node says of them.
import type { Knex } from 'knex';

/** Creates the table and the column. Bytes of packages are in a table of the marketplace; a pin names them by digest. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE installs (
      id uuid PRIMARY KEY,
      plugin text NOT NULL UNIQUE,
      version text NOT NULL,
      sha256 text NOT NULL,
      granted jsonb NOT NULL,
      manifest jsonb NOT NULL,
      config_schema jsonb NOT NULL,
      tier text NOT NULL CHECK (tier IN ('auto', 'native', 'isolate', 'process')),
      sealed_secrets jsonb NOT NULL,
      previous jsonb,
      tags text[] NOT NULL DEFAULT '{}',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE nodes ADD COLUMN plugins jsonb NOT NULL DEFAULT '[]';
  `);
}

/** Drops both. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE nodes DROP COLUMN plugins; DROP TABLE installs;');
}
