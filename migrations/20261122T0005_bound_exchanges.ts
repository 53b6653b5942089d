// Time-outs of single routes, and of whole exchanges.
import type { Knex } from 'knex';

/** Adds the column, and the bound that is none to what is there. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE routes ADD COLUMN timeouts jsonb;
    UPDATE apis SET timeouts = '{"totalMs": 0}' || timeouts;
  `);
}

/** Drops both. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    UPDATE apis SET timeouts = timeouts - 'totalMs';
    ALTER TABLE routes DROP COLUMN timeouts;
  `);
}
