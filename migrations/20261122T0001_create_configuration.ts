// The configuration tables: apis, routes, upstreams, targets, consumers, groups, credentials, plugins, bindings.
import type { Knex } from 'knex';

const ENTITY = `
  tags text[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()`;

/** Creates the tables. Names are unique; a parent that is still referenced cannot be deleted except where it owns the child. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE upstreams (
      id uuid PRIMARY KEY,
      name text NOT NULL UNIQUE,
      protocol text NOT NULL CHECK (protocol IN ('http', 'https')),
      load_balancing text NOT NULL,
      health_checks jsonb NOT NULL,
      tls jsonb NOT NULL,
      ${ENTITY}
    );
    CREATE TABLE targets (
      upstream_id uuid NOT NULL REFERENCES upstreams ON DELETE CASCADE,
      position integer NOT NULL,
      host text NOT NULL,
      port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
      weight integer NOT NULL CHECK (weight BETWEEN 0 AND 65535),
      PRIMARY KEY (upstream_id, position)
    );
    CREATE TABLE apis (
      id uuid PRIMARY KEY,
      name text NOT NULL UNIQUE,
      upstream_url text,
      upstream_id uuid REFERENCES upstreams,
      enabled boolean NOT NULL,
      preserve_host boolean NOT NULL,
      timeouts jsonb NOT NULL,
      retries jsonb NOT NULL,
      ${ENTITY},
      CHECK ((upstream_url IS NULL) <> (upstream_id IS NULL))
    );
    CREATE INDEX apis_upstream ON apis (upstream_id);
    CREATE TABLE routes (
      id uuid PRIMARY KEY,
      api_id uuid NOT NULL REFERENCES apis ON DELETE CASCADE,
      position integer NOT NULL,
      name text,
      hosts text[] NOT NULL,
      paths text[] NOT NULL,
      methods text[] NOT NULL,
      headers jsonb NOT NULL,
      query jsonb NOT NULL,
      strip_path boolean NOT NULL,
      UNIQUE (api_id, name)
    );
    CREATE INDEX routes_api ON routes (api_id, position);
    CREATE TABLE consumers (
      id uuid PRIMARY KEY,
      username text NOT NULL UNIQUE,
      custom_id text UNIQUE,
      ${ENTITY}
    );
    CREATE TABLE groups (
      name text PRIMARY KEY
    );
    CREATE TABLE consumer_groups (
      consumer_id uuid NOT NULL REFERENCES consumers ON DELETE CASCADE,
      group_name text NOT NULL REFERENCES groups,
      PRIMARY KEY (consumer_id, group_name)
    );
    CREATE INDEX consumer_groups_group ON consumer_groups (group_name);
    CREATE TABLE credentials (
      id uuid PRIMARY KEY,
      consumer_id uuid NOT NULL REFERENCES consumers ON DELETE CASCADE,
      type text NOT NULL,
      lookup text NOT NULL,
      data jsonb NOT NULL,
      ${ENTITY},
      UNIQUE (type, lookup)
    );
    CREATE INDEX credentials_consumer ON credentials (consumer_id);
    CREATE TABLE plugins (
      name text NOT NULL,
      version text NOT NULL,
      source text NOT NULL,
      manifest jsonb NOT NULL,
      config_schema jsonb NOT NULL,
      installed_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (name, version)
    );
    CREATE TABLE bindings (
      id uuid PRIMARY KEY,
      plugin text NOT NULL,
      name text,
      api_id uuid REFERENCES apis ON DELETE CASCADE,
      route_id uuid REFERENCES routes ON DELETE CASCADE,
      consumer_id uuid REFERENCES consumers ON DELETE CASCADE,
      group_name text REFERENCES groups,
      config jsonb NOT NULL,
      enabled boolean NOT NULL,
      sort_order integer NOT NULL,
      condition jsonb,
      effect text NOT NULL CHECK (effect IN ('apply', 'exclude')),
      mandatory boolean NOT NULL,
      ${ENTITY}
    );
    CREATE UNIQUE INDEX bindings_one_per_scope ON bindings
      (plugin, coalesce(name, ''), coalesce(api_id::text, ''), coalesce(route_id::text, ''),
       coalesce(consumer_id::text, ''), coalesce(group_name, ''));
    CREATE INDEX bindings_api ON bindings (api_id);
    CREATE INDEX bindings_route ON bindings (route_id);
    CREATE INDEX bindings_consumer ON bindings (consumer_id);
    CREATE INDEX bindings_group ON bindings (group_name);
  `);
}

/** Drops the tables, children first. */
export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE bindings; DROP TABLE plugins; DROP TABLE credentials; DROP TABLE consumer_groups; DROP TABLE groups;
    DROP TABLE consumers; DROP TABLE routes; DROP TABLE apis; DROP TABLE targets; DROP TABLE upstreams;
  `);
}
