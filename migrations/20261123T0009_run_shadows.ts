// Versions of plugins that run in the shadow of the installed ones.
import type { Knex } from 'knex';

/** Adds the column. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE installs ADD COLUMN shadow jsonb');
}

/** Drops it. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw('ALTER TABLE installs DROP COLUMN shadow');
}
