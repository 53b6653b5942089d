// Keeps published versions and the bytes of their packages.
// Must not change what was published: only state, review and envelope move.
import type { Knex } from 'knex';
import type { Manifest } from '../../../gateway/core/manifest.ts';
import type { JsonSchema } from '../../../gateway/core/schemas.ts';
import type { Envelope } from '../../../gateway/package/dsse.ts';
import type { Check } from '../../marketplace/checks/check.ts';
import type { VersionState } from '../../marketplace/states.ts';
import { WRITE_TIMEOUT_MS } from '../database.ts';

/** Is one published version without its bytes. */
export interface Version {
  /** `namespace/name`. */
  readonly plugin: string;
  readonly version: string;
  /** Digest of the package, in hex. */
  readonly sha256: string;
  readonly manifest: Manifest;
  readonly configSchema: JsonSchema;
  readonly envelope: Envelope;
  readonly readme: string | null;
  readonly changelog: string | null;
  readonly state: VersionState;
  readonly advisory: string | null;
  readonly checks: readonly Check[];
  readonly publishedBy: string;
  readonly publishedAt: string;
  readonly reviewedBy: string | null;
  readonly reviewedAt: string | null;
  readonly reviewNote: string | null;
}

/** Is a version to be kept. */
export type NewVersion = Omit<Version, 'publishedAt' | 'reviewedBy' | 'reviewedAt' | 'reviewNote'>;

const COLUMNS = `plugin, version, sha256, manifest, config_schema, envelope, readme, changelog, state, advisory, checks,
  published_by, published_at, reviewed_by, reviewed_at, review_note`;

/** Finds one version. */
export async function findVersion(knex: Knex, plugin: string, version: string): Promise<Version | undefined> {
  const result = await knex.raw(`SELECT ${COLUMNS} FROM marketplace_versions WHERE plugin = ? AND version = ?`, [
    plugin,
    version,
  ]);
  const [row] = result.rows;
  return row === undefined ? undefined : toVersion(row);
}

/** Lists the versions of a plugin, in the order in which they were published. */
export async function listVersions(knex: Knex, plugin: string): Promise<Version[]> {
  const result = await knex
    .raw(`SELECT ${COLUMNS} FROM marketplace_versions WHERE plugin = ? ORDER BY published_at, version`, [plugin])
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
  return result.rows.map(toVersion);
}

/** Is what the index says of a version, with what proves it. */
export type ListedVersion = Pick<Version, 'plugin' | 'version' | 'sha256' | 'state' | 'advisory' | 'envelope'>;

/** Lists what was approved once, by plugin. */
export async function listIndexedVersions(knex: Knex): Promise<ListedVersion[]> {
  const result = await knex
    .raw(
      `SELECT plugin, version, sha256, state, advisory, envelope FROM marketplace_versions
       WHERE state IN ('approved', 'deprecated', 'yanked', 'revoked') ORDER BY plugin, version`,
    )
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
  return result.rows;
}

/** Counts the versions of a namespace that wait for a review. */
export async function countPending(knex: Knex, namespace: string): Promise<number> {
  const result = await knex.raw(
    `SELECT count(*)::int AS waiting FROM marketplace_versions v JOIN marketplace_plugins p ON p.id = v.plugin
     WHERE v.state = 'pending' AND p.namespace = ?`,
    [namespace],
  );
  return result.rows[0].waiting;
}

/** Reads the bytes of a package. */
export async function findPackage(knex: Knex, sha256: string): Promise<Buffer | undefined> {
  const result = await knex
    .raw('SELECT bytes FROM plugin_packages WHERE sha256 = ?', [sha256])
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
  return result.rows[0]?.bytes;
}

/** Keeps a version with its bytes. */
export async function insertVersion(transaction: Knex.Transaction, row: NewVersion, bytes: Uint8Array): Promise<void> {
  await transaction
    .raw('INSERT INTO plugin_packages (sha256, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING', [
      row.sha256,
      Buffer.from(bytes),
    ])
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
  await transaction
    .raw(
      `INSERT INTO marketplace_versions (plugin, version, sha256, manifest, config_schema, envelope, readme, changelog,
         state, advisory, checks, published_by)
       VALUES (?, ?, ?, ?::jsonb, ?::jsonb, ?::jsonb, ?, ?, ?, ?, ?::jsonb, ?)`,
      [
        row.plugin,
        row.version,
        row.sha256,
        JSON.stringify(row.manifest),
        JSON.stringify(row.configSchema),
        JSON.stringify(row.envelope),
        row.readme,
        row.changelog,
        row.state,
        row.advisory,
        JSON.stringify(row.checks),
        row.publishedBy,
      ],
    )
    .options({ timeoutMs: WRITE_TIMEOUT_MS });
}

/** Is what a review decided. */
export interface Decision {
  readonly state: VersionState;
  readonly envelope: Envelope;
  readonly checks: readonly Check[];
  readonly reviewedBy: string;
  readonly reviewNote: string | null;
}

/** Writes down a review. */
export async function writeDecision(
  transaction: Knex.Transaction,
  { plugin, version }: Pick<Version, 'plugin' | 'version'>,
  { state, envelope, checks, reviewedBy, reviewNote }: Decision,
): Promise<void> {
  await transaction.raw(
    `UPDATE marketplace_versions SET state = ?, envelope = ?::jsonb, checks = ?::jsonb, reviewed_by = ?, reviewed_at = now(),
       review_note = ? WHERE plugin = ? AND version = ?`,
    [state, JSON.stringify(envelope), JSON.stringify(checks), reviewedBy, reviewNote, plugin, version],
  );
}

/** Brings a version into a state. */
export async function writeState(
  transaction: Knex.Transaction,
  { plugin, version }: Pick<Version, 'plugin' | 'version'>,
  { state, advisory, envelope }: Pick<Version, 'state' | 'advisory'> & { readonly envelope?: Envelope },
): Promise<void> {
  await transaction('marketplace_versions')
    .where({ plugin, version })
    .update({ state, advisory, ...(envelope === undefined ? {} : { envelope: JSON.stringify(envelope) }) });
}

function toVersion(row: {
  readonly plugin: string;
  readonly version: string;
  readonly sha256: string;
  readonly manifest: Manifest;
  readonly config_schema: JsonSchema;
  readonly envelope: Envelope;
  readonly readme: string | null;
  readonly changelog: string | null;
  readonly state: VersionState;
  readonly advisory: string | null;
  readonly checks: readonly Check[];
  readonly published_by: string;
  readonly published_at: Date;
  readonly reviewed_by: string | null;
  readonly reviewed_at: Date | null;
  readonly review_note: string | null;
}): Version {
  return {
    plugin: row.plugin,
    version: row.version,
    sha256: row.sha256,
    manifest: row.manifest,
    configSchema: row.config_schema,
    envelope: row.envelope,
    readme: row.readme,
    changelog: row.changelog,
    state: row.state,
    advisory: row.advisory,
    checks: row.checks,
    publishedBy: row.published_by,
    publishedAt: row.published_at.toISOString(),
    reviewedBy: row.reviewed_by,
    reviewedAt: row.reviewed_at?.toISOString() ?? null,
    reviewNote: row.review_note,
  };
}
