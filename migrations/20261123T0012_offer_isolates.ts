// Tiers that gateways have: `isolate` is one of them, by choice of the operator (ADR 0028).
import type { Knex } from 'knex';

/** Takes the tier. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE installs DROP CONSTRAINT installs_tier_check,
      ADD CONSTRAINT installs_tier_check CHECK (tier IN ('auto', 'native', 'isolate', 'process'));
  `);
}

/** Refuses it; an install of it, which gateways before do not run, goes into a process. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    UPDATE installs SET tier = 'process' WHERE tier = 'isolate';
    ALTER TABLE installs DROP CONSTRAINT installs_tier_check,
      ADD CONSTRAINT installs_tier_check CHECK (tier IN ('auto', 'native', 'process'));
  `);
}
