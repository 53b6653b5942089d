// Tiers that gateways have: `isolate` is not one of them (ADR 0022).
import type { Knex } from 'knex';

/** Refuses the tier; an install of it, which no gateway runs, goes into a process. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    UPDATE installs SET tier = 'process' WHERE tier = 'isolate';
    ALTER TABLE installs DROP CONSTRAINT installs_tier_check,
      ADD CONSTRAINT installs_tier_check CHECK (tier IN ('auto', 'native', 'process'));
  `);
}

/** Takes it again. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE installs DROP CONSTRAINT installs_tier_check,
      ADD CONSTRAINT installs_tier_check CHECK (tier IN ('auto', 'native', 'isolate', 'process'));
  `);
}
