// The marketplace: who publishes, versions with their bytes by digest, the signed index and root; two more roles of tokens.
import type { Knex } from 'knex';

/** Creates the tables, and lets tokens be of publishers and reviewers. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE publishers (
      namespace text PRIMARY KEY,
      title text NOT NULL,
      level smallint NOT NULL CHECK (level BETWEEN 0 AND 3),
      token_name text,
      origin text,
      created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE publisher_keys (
      namespace text NOT NULL REFERENCES publishers ON DELETE CASCADE,
      keyid text NOT NULL,
      public_key text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (namespace, keyid)
    );
    CREATE TABLE marketplace_plugins (
      id text PRIMARY KEY,
      namespace text NOT NULL REFERENCES publishers,
      title text NOT NULL,
      summary text NOT NULL,
      categories text[] NOT NULL,
      search_text text NOT NULL,
      latest_version text,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX marketplace_plugins_by_namespace ON marketplace_plugins (namespace);
    CREATE TABLE plugin_packages (
      sha256 text PRIMARY KEY,
      bytes bytea NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE marketplace_versions (
      plugin text NOT NULL REFERENCES marketplace_plugins,
      version text NOT NULL,
      sha256 text NOT NULL REFERENCES plugin_packages,
      manifest jsonb NOT NULL,
      config_schema jsonb NOT NULL,
      envelope jsonb NOT NULL,
      readme text,
      changelog text,
      state text NOT NULL CHECK (state IN ('pending', 'approved', 'rejected', 'deprecated', 'yanked', 'revoked')),
      advisory text,
      checks jsonb NOT NULL,
      published_by text NOT NULL,
      published_at timestamptz NOT NULL DEFAULT now(),
      reviewed_by text,
      reviewed_at timestamptz,
      review_note text,
      PRIMARY KEY (plugin, version)
    );
    CREATE INDEX marketplace_versions_by_state ON marketplace_versions (state);
    CREATE TABLE marketplace_root (
      version bigint PRIMARY KEY,
      envelope jsonb NOT NULL,
      made_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE marketplace_index (
      version bigint PRIMARY KEY,
      envelope jsonb NOT NULL,
      made_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE marketplace_origins (
      root_keyid text PRIMARY KEY,
      root_version bigint NOT NULL,
      index_version bigint NOT NULL,
      imported_at timestamptz NOT NULL DEFAULT now()
    );
    ALTER TABLE admin_tokens DROP CONSTRAINT admin_tokens_role_check;
    ALTER TABLE admin_tokens ADD CONSTRAINT admin_tokens_role_check
      CHECK (role IN ('owner', 'editor', 'viewer', 'publisher', 'reviewer'));
  `);
}

/** Drops them; tokens of the two roles go, as nothing could be done with them. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DELETE FROM admin_tokens WHERE role IN ('publisher', 'reviewer');
    ALTER TABLE admin_tokens DROP CONSTRAINT admin_tokens_role_check;
    ALTER TABLE admin_tokens ADD CONSTRAINT admin_tokens_role_check CHECK (role IN ('owner', 'editor', 'viewer'));
    DROP TABLE marketplace_origins; DROP TABLE marketplace_index; DROP TABLE marketplace_root;
    DROP TABLE marketplace_versions; DROP TABLE plugin_packages; DROP TABLE marketplace_plugins;
    DROP TABLE publisher_keys; DROP TABLE publishers;
  `);
}
