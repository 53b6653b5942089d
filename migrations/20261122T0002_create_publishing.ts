// What publishing needs: the revision counter, the revisions with their changes, the nodes, audit events, admin tokens.
import type { Knex } from 'knex';

/** Creates the tables. `publication` holds exactly one row: the lock that queues writers, and the current revision. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE publication (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
      revision bigint NOT NULL
    );
    INSERT INTO publication (revision) VALUES (0);
    CREATE TABLE revisions (
      number bigint PRIMARY KEY,
      created_at timestamptz NOT NULL DEFAULT now(),
      actor text NOT NULL,
      summary text NOT NULL,
      changes jsonb NOT NULL
    );
    CREATE TABLE audit_events (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      created_at timestamptz NOT NULL DEFAULT now(),
      actor text NOT NULL,
      action text NOT NULL,
      entity_kind text NOT NULL,
      entity_id text NOT NULL,
      revision bigint,
      diff jsonb NOT NULL
    );
    CREATE TABLE nodes (
      id uuid PRIMARY KEY,
      name text NOT NULL,
      mode text NOT NULL,
      version text NOT NULL,
      started_at timestamptz NOT NULL,
      last_seen_at timestamptz NOT NULL,
      revision bigint NOT NULL,
      offered_revision bigint NOT NULL,
      refusal jsonb,
      workers jsonb NOT NULL,
      health jsonb NOT NULL
    );
    CREATE TABLE admin_tokens (
      id uuid PRIMARY KEY,
      name text NOT NULL UNIQUE,
      role text NOT NULL CHECK (role IN ('owner', 'editor', 'viewer')),
      token_hash text NOT NULL UNIQUE,
      created_at timestamptz NOT NULL DEFAULT now(),
      last_used_at timestamptz
    );
  `);
}

/** Drops the tables. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE admin_tokens; DROP TABLE nodes; DROP TABLE audit_events; DROP TABLE revisions; DROP TABLE publication;
  `);
}
