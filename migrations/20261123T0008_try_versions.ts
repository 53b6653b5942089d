// Versions of plugins on trial beside the installed ones.
import type { Knex } from 'knex';

/** Adds the column. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE installs ADD COLUMN canary jsonb');
}

/** Drops it. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE installs DROP COLUMN canary');
}
