// Upstreams whose targets speak HTTP/2.
import type { Knex } from 'knex';

/** Widens what `protocol` may say. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE upstreams DROP CONSTRAINT upstreams_protocol_check,
      ADD CONSTRAINT upstreams_protocol_check CHECK (protocol IN ('http', 'https', 'h2c', 'h2'));
  `);
}

/** Narrows it again; what spoke HTTP/2 is asked over HTTP/1.1. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    ALTER TABLE upstreams DROP CONSTRAINT upstreams_protocol_check;
    UPDATE upstreams SET protocol = CASE protocol WHEN 'h2' THEN 'https' ELSE 'http' END WHERE protocol IN ('h2', 'h2c');
    UPDATE apis SET upstream_url = regexp_replace(regexp_replace(upstream_url, '^h2:', 'https:'), '^h2c:', 'http:');
    ALTER TABLE upstreams ADD CONSTRAINT upstreams_protocol_check CHECK (protocol IN ('http', 'https'));
  `);
}
