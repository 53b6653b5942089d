// Requests of apis that ask for it, redacted, to run them again.
import type { Knex } from 'knex';

/** Adds the column and the table. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE apis ADD COLUMN record_per_second integer;
    CREATE TABLE recorded_requests (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      api_id uuid NOT NULL REFERENCES apis ON DELETE CASCADE,
      recorded_at timestamptz NOT NULL,
      request jsonb NOT NULL
    );
    CREATE INDEX recorded_requests_newest ON recorded_requests (api_id, id DESC);
    CREATE INDEX recorded_requests_age ON recorded_requests (recorded_at);
  `);
}

/** Drops both. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE recorded_requests;
    ALTER TABLE apis DROP COLUMN record_per_second;
  `);
}
