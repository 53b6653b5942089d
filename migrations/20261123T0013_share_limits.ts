// Counts of limits that all nodes share, for bindings of rate-limiting with `store: postgres`.
import type { Knex } from 'knex';

/** Adds the table. Not logged: after a crash of the server windows begin anew, and no request waits for the disk. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE UNLOGGED TABLE shared_limits (
      key text PRIMARY KEY,
      points integer NOT NULL,
      expire bigint
    ) WITH (fillfactor = 70);
  `);
}

/** Drops it. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE shared_limits');
}
